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
  ],
}
