{
  "target_defaults": {
    "defines": ["_GNU_SOURCE"],
    "cflags_c": ["-std=c17"],
    # gyp links with the C++ driver; nothing of ours in C may need libstdc++.
    "ldflags": ["-Wl,--as-needed"],
  },
  "targets": [
    {
      # The preload library: build/Release/libzio.so.
      "target_name": "libzio",
      "product_prefix": "lib",
      "target_conditions": [["_type=='loadable_module'", {"product_extension": "so"}]],
      # unit_core.c and unit_fault_handler.c carry the other two packages inside.
      "sources": [
        "<!@(node -p \"require('@zio/core/native-paths').sourcesIn(['native', 'native/hooks']).join(' ')\")",
      ],
      "include_dirs": [
        "native",
        "<!(node -p \"require('@zio/core/native-paths').include\")",
        "<!(node -p \"require('@zio/core/native-paths').native\")",
        "<!(node -p \"require('@zio/fault-handler/native-paths').include\")",
        "<!(node -p \"require('@zio/fault-handler/native-paths').native\")",
      ],
      # With 64-bit offsets as the default, glibc's headers give pread the symbol name pread64: both are hooks here.
      "defines!": ["_FILE_OFFSET_BITS=64", "_LARGEFILE_SOURCE"],
      "configurations": {"Release": {"cflags!": ["-O3"], "cflags": ["-O2"]}},
      "cflags": [
        "-fPIC",
        "-U_FORTIFY_SOURCE",
        "-fvisibility=hidden",
        # gcc turns copy loops into calls of memcpy, which here would call themselves.
        "-fno-builtin",
        "-fno-tree-loop-distribute-patterns",
        "-fno-stack-protector",
        "-ftls-model=initial-exec",
        "-Wall",
        "-Wextra",
      ],
      "ldflags": ["-Wl,--version-script=../native/libzio.map", "-Wl,-z,defs", "-Wl,-z,now"],
      "libraries": ["-ldl", "-pthread"],
    },
    {
      "target_name": "zio_interpose",
      "sources": [
        "<!@(node -p \"require('@zio/core/native-paths').sourcesIn(['native/addon'], '.cc').join(' ')\")",
      ],
      "include_dirs": ["native", "<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=9", "NAPI_DISABLE_CPP_EXCEPTIONS"],
      "cflags": ["-fvisibility=hidden"],
    },
    {
      # What `zio run` becomes before it becomes the command.
      "target_name": "zio-launch",
      "type": "executable",
      "sources": ["native/launch/launch.c", "native/launch/plan.c", "native/launch/supervise.c"],
    },
    {
      # What `zio-fuzz` runs with and without libzio.so; its copies must be calls of libc's functions.
      "target_name": "zio-fuzz-program",
      "type": "executable",
      "sources": [
        "<!@(node -p \"require('@zio/core/native-paths').sourcesIn(['native/fuzz']).join(' ')\")",
      ],
      "configurations": {"Release": {"cflags!": ["-O3"], "cflags": ["-O2"]}},
      "cflags": ["-fno-builtin", "-U_FORTIFY_SOURCE", "-Wall", "-Wextra"],
      "libraries": ["-pthread"],
    },
    {
      # What `zio calibrate` runs plain and under zIO; its copies must be calls of libc's memcpy.
      "target_name": "zio-calibrate",
      "type": "executable",
      "sources": ["native/calibrate/calibrate.c"],
      "cflags": ["-fno-builtin"],
    },
    # The small programs of the demo: plain C, no knowledge of zIO. One target for each file of native/demo.
    {
      "target_name": "zio-echo-server",
      "type": "executable",
      "sources": ["native/demo/echo_server.c"],
      # Its copies must be calls of libc's memcpy.
      "cflags": ["-fno-builtin"],
      "libraries": ["-pthread"],
    },
    {
      "target_name": "zio-echo-client",
      "type": "executable",
      "sources": ["native/demo/echo_client.c"],
      "libraries": ["-pthread"],
    },
    # What `zio bench` runs besides them.
    {
      "target_name": "zio-load-client",
      "type": "executable",
      "sources": ["native/bench/load_client.c", "native/bench/load_protocol.c"],
      "libraries": ["-pthread"],
    },
    {
      "target_name": "zio-file-server",
      "type": "executable",
      "sources": ["native/bench/file_server.c", "native/bench/ring.c"],
      "libraries": ["-pthread"],
    },
    {
      "target_name": "zio-spawn-timer",
      "type": "executable",
      "sources": ["native/bench/spawn_timer.c"],
    },
    {
      # A preload library: what no log of writes can beat.
      "target_name": "libzio-bounds",
      "product_prefix": "lib",
      "target_conditions": [["_type=='loadable_module'", {"product_extension": "so"}]],
      "sources": ["native/bench/bounds.c"],
      "cflags": ["-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra"],
      "libraries": ["-pthread"],
    },
    {
      # Its copies must be calls of libc's memcpy; the other two sources are the data plane's.
      "target_name": "zio-primitives",
      "type": "executable",
      "sources": ["native/bench/primitives.c", "native/unit_core.c", "native/unit_fault_handler.c"],
      "include_dirs": [
        "<!(node -p \"require('@zio/core/native-paths').include\")",
        "<!(node -p \"require('@zio/core/native-paths').native\")",
        "<!(node -p \"require('@zio/fault-handler/native-paths').include\")",
        "<!(node -p \"require('@zio/fault-handler/native-paths').native\")",
      ],
      "cflags": ["-fno-builtin"],
      "libraries": ["-pthread"],
    },
  ],
}
