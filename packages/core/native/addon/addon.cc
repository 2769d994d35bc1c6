// The Node binding of core.
#include <napi.h>

#include "interval_tree.h"

extern "C" {
#include "zio/version.h"
}

static Napi::Value AbiVersion(const Napi::CallbackInfo& info)
{
    return Napi::Number::New(info.Env(), zio_core_abi_version());
}

static Napi::Object Init(Napi::Env env, Napi::Object exports)
{
    exports.Set("abiVersion", Napi::Function::New(env, AbiVersion, "abiVersion"));
    exports.Set("IntervalTree", IntervalTree::Define(env));
    return exports;
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
