// The Node binding of the preload library: finds the live instance in this process, if there is one.
#include <dlfcn.h>
#include <napi.h>

#include "interpose_version.h"
#include "replace_process.h"

static Napi::Value ActiveAbiVersion(const Napi::CallbackInfo& info)
{
    auto version = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "zio_interpose_abi_version"));
    return version ? Napi::Number::New(info.Env(), version()) : info.Env().Null();
}

static Napi::Value AbiVersion(const Napi::CallbackInfo& info)
{
    return Napi::Number::New(info.Env(), ZIO_INTERPOSE_ABI_VERSION);
}

static Napi::Object Init(Napi::Env env, Napi::Object exports)
{
    exports.Set("abiVersion", Napi::Function::New(env, AbiVersion, "abiVersion"));
    exports.Set("activeAbiVersion", Napi::Function::New(env, ActiveAbiVersion, "activeAbiVersion"));
    exports.Set("replaceProcess", Napi::Function::New(env, ReplaceProcess, "replaceProcess"));
    return exports;
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
