# The settings node-gyp expects to find beside the headers of Node. An addon that speaks Node-API needs none of Node's own.
{
  "target_defaults": {
    "default_configuration": "Release",
    "configurations": { "Release": { "cflags": ["-O3"] }, "Debug": { "cflags": ["-O0", "-g"] } },
    "cflags": ["-fPIC", "-pthread"],
    "ldflags": ["-pthread"]
  }
}
