// Begins the page in a browser tab of its own.
import { mount } from "./page.js";
import { http } from "./transport.js";

mount(document.getElementById("jal"), http());
