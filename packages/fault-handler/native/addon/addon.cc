// The Node binding of the fault handler: names, and nothing else.
#include <napi.h>

#include "capabilities.h"
#include "lazy_region.h"

extern "C" {
#include "zio/fault_handler_version.h"
#include "zio/version.h"
}

static Napi::Value AbiVersion(const Napi::CallbackInfo &info) {
    return Napi::Number::New(info.Env(), zio_fault_handler_abi_version());
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
    define("capabilities", Capabilities);
    define("parseFeatures", ParseFeatures);
    define("lazyRegionOfMemory", LazyRegionOfMemory);
    define("lazyRegionOfFile", LazyRegionOfFile);
    define("lazyRegionStats", LazyRegionStats);
    define("lazyRegionDispose", LazyRegionDispose);
    exports.Set("featureTable", FeatureTable(env));
    return exports;
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
