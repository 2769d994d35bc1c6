// The Node binding of the preload library: finds the live instance in this process, if there is one.
#include <dlfcn.h>
#include <napi.h>

static Napi::Value ActiveAbiVersion(const Napi::CallbackInfo& info)
{
    auto version = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "zio_interpose_abi_version"));
    return version ? Napi::Number::New(info.Env(), version()) : info.Env().Null();
}

static Napi::Object Init(Napi::Env env, Napi::Object exports)
{
    exports.Set("activeAbiVersion", Napi::Function::New(env, ActiveAbiVersion, "activeAbiVersion"));
    return exports;
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
