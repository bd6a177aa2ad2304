"""The `execution` part of a config: how runs lie on devices and processes."""

from jal.settings.fields import Field

MODES = ("auto", "map", "vmap")

EXECUTION_FIELDS: dict[str, Field] = {
    "execution.mode": Field("auto", "map, vmap, scan (all rounds in one program) or auto"),
    "execution.chunk": Field(0, "runs vmapped at once; 0: as many as fit"),
    "execution.devices": Field(0, "devices to use; 0: all (on CPU one a core)"),
    "execution.shard_pool": Field(
        False, "share the pool's rows out over the devices, not the runs"
    ),
    "execution.distributed": Field(False, "join the other processes of a multi-host run"),
}
