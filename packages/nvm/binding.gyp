{
  "targets": [
    {
      "target_name": "zio_nvm",
      # unit_core.c, one of the sources, carries @zio/core inside.
      "sources": [
        "<!@(node -p \"require('@zio/core/native-paths').sourcesIn(['native', 'native/addon']).join(' ')\")",
        "<!@(node -p \"require('@zio/core/native-paths').sourcesIn(['native/addon'], '.cc').join(' ')\")",
      ],
      "include_dirs": [
        "include",
        "native",
        "<!(node -p \"require('@zio/core/native-paths').include\")",
        "<!(node -p \"require('@zio/core/native-paths').native\")",
        "<!(node -p \"require('node-addon-api').include_dir\")",
      ],
      "defines": ["_GNU_SOURCE", "NAPI_VERSION=9", "NAPI_DISABLE_CPP_EXCEPTIONS"],
      "cflags": ["-fvisibility=hidden"],
      "cflags_c": ["-std=c17"],
      "ldflags": ["-Wl,--as-needed"],
    },
    {
      # The storage provider that libzio.so loads: build/Release/libzio-nvm.so. It needs no library at all.
      "target_name": "libzio-nvm",
      "product_prefix": "lib",
      "target_conditions": [["_type=='loadable_module'", {"product_extension": "so"}]],
      "sources": [
        "<!@(node -p \"require('@zio/core/native-paths').sourcesIn(['native', 'native/provider']).join(' ')\")",
      ],
      "include_dirs": [
        "include",
        "native",
        "<!(node -p \"require('@zio/core/native-paths').include\")",
        "<!(node -p \"require('@zio/core/native-paths').native\")",
      ],
      "defines": ["_GNU_SOURCE"],
      "configurations": {"Release": {"cflags!": ["-O3"], "cflags": ["-O2"]}},
      "cflags": [
        "-fPIC",
        "-U_FORTIFY_SOURCE",
        "-fvisibility=hidden",
        "-fno-builtin",
        "-fno-tree-loop-distribute-patterns",
        "-fno-stack-protector",
        "-Wall",
        "-Wextra",
      ],
      "cflags_c": ["-std=c17"],
      "conditions": [["target_arch=='arm64'", {"cflags": ["-mno-outline-atomics"]}]],
      "ldflags": ["-nostdlib", "-Wl,-z,defs", "-Wl,-z,now", "-Wl,--exclude-libs,ALL"],
    },
  ],
}
