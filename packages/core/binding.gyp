{
  "targets": [
    {
      "target_name": "zio_core",
      "sources": [
        "<!@(node -p \"require('./native-paths.cjs').sourcesIn(['native', 'native/addon']).join(' ')\")",
        "<!@(node -p \"require('./native-paths.cjs').sourcesIn(['native/addon'], '.cc').join(' ')\")",
      ],
      "include_dirs": [
        "include",
        "native",
        "<!(node -p \"require('node-addon-api').include_dir\")",
      ],
      "defines": ["_GNU_SOURCE", "NAPI_VERSION=9", "NAPI_DISABLE_CPP_EXCEPTIONS"],
      "cflags": ["-fvisibility=hidden"],
      "cflags_c": ["-std=c17"],
      "ldflags": ["-Wl,--as-needed"],
    },
  ],
}
