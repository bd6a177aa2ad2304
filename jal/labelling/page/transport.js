// How the page speaks with jal: by requests to its server, or by messages to a notebook's kernel.

const KEPT = 400; // pictures of a notebook that are kept

/** An error whose words are for the person; `lost` where no answer came at all. */
export class Refused extends Error {
  constructor(words, lost = false) {
    super(words);
    this.lost = lost;
  }
}

/** The transport of a page with a server. */
export function http() {
  const call = async (name, body = {}, keepalive = false) => {
    let response;
    try {
      response = await fetch("/api/" + name, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
        keepalive,
      });
    } catch {
      throw new Refused("The server does not answer. Start jal label again and open the address it prints.", true);
    }
    const found = await response.json().catch(() => ({}));
    if (!response.ok) throw new Refused(found.error || "The server answers " + response.status + ".", response.status === 403);
    return found;
  };
  const picture = async (id, side) => "/image?side=" + side + "&id=" + encodeURIComponent(id);
  return { call, picture };
}

/** The transport of a notebook's widget, over its model's messages. */
export function messages(model) {
  const waiting = new Map();
  const kept = new Map();
  let count = 0;
  model.on("msg:custom", (reply, buffers) => {
    const { resolve, reject } = waiting.get(reply.id) || {};
    if (!resolve) return;
    waiting.delete(reply.id);
    if (reply.error) reject(new Refused(reply.error));
    else resolve({ result: reply.result, buffers });
  });
  const ask = (name, body) => new Promise((resolve, reject) => {
    count += 1;
    waiting.set(count, { resolve, reject });
    model.send({ id: count, name, body });
  });
  const call = async (name, body = {}) => (await ask(name, body)).result;
  const load = async (id, side) => {
    const { result, buffers } = await ask("image", { id, side });
    return URL.createObjectURL(new Blob([buffers[0]], { type: result.media }));
  };
  const picture = (id, side) => {
    const key = side + " " + id;
    if (!kept.has(key)) {
      kept.set(key, load(id, side));
      if (kept.size > KEPT) forget(kept);
    }
    return kept.get(key);
  };
  return { call, picture };
}

function forget(kept) {
  const [key, address] = kept.entries().next().value;
  kept.delete(key);
  address.then((url) => URL.revokeObjectURL(url), () => {});
}

/** Shows an image in an element; says so where it cannot be shown. Resolves once it is there. */
export async function showPicture(image, api, id, side) {
  image.wanted = id + " " + side;
  const wanted = image.wanted;
  const failed = (is) => image.parentElement?.classList.toggle("unreadable", is);
  try {
    const address = await api.picture(id, side);
    if (image.wanted !== wanted) return;
    image.src = address;
    await image.decode();
    failed(false);
  } catch {
    if (image.wanted === wanted) failed(true);
  }
}
