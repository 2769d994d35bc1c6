// The Node binding of the pool: names, and nothing else.
#include <napi.h>

#include "pool_handle.h"

extern "C" {
#include "zio/nvm.h"
#include "zio/version.h"
}

static Napi::Value AbiVersion(const Napi::CallbackInfo &info) {
    return Napi::Number::New(info.Env(), zio_nvm_abi_version());
}

static Napi::Value CoreAbiVersion(const Napi::CallbackInfo &info) {
    return Napi::Number::New(info.Env(), zio_core_abi_version());
}

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
    const auto define = [&](const char *name, Napi::Value (*function)(const Napi::CallbackInfo &)) {
        exports.Set(name, Napi::Function::New(env, function, name));
    };
    define("abiVersion", AbiVersion);
    define("coreAbiVersion", CoreAbiVersion);
    define("probe", Probe);
    define("create", Create);
    define("open", Open);
    define("close", Close);
    define("resize", Resize);
    define("attach", Attach);
    define("detach", Detach);
    define("append", Append);
    define("read", Read);
    define("sync", Sync);
    define("digest", Digest);
    define("stats", Stats);
    define("fileBytes", FileBytes);
    define("inspect", Inspect);
    exports.Set("problemTable", ProblemTable(env));
    return exports;
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
