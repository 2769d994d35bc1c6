#include "capabilities.h"

#include <string>
#include <unistd.h>

extern "C" {
#include "zio/uffd.h"
}

Napi::Value Capabilities(const Napi::CallbackInfo &info) {
    Napi::Env env = info.Env();
    zio_uffd uffd;
    zio_uffd_reason reason;
    const uint32_t disabled = info[0].As<Napi::Number>().Uint32Value();
    const int code = zio_uffd_open(&uffd, nullptr, disabled, &reason);

    Napi::Object result = Napi::Object::New(env);
    result.Set("code", code);
    result.Set("text", std::string(reason.text));
    result.Set("deviceError", reason.device_error);
    result.Set("syscallError", reason.syscall_error);
    result.Set("apiError", reason.api_error);
    result.Set("userModeOnly", uffd.user_mode_only);
    result.Set("viaDevice", code == 0 && uffd.device_fd >= 0);
    result.Set("move", code == 0 && uffd.can_move);
    result.Set("poison", code == 0 && uffd.can_poison);
    result.Set("threadId", code == 0 && (uffd.features & UFFD_FEATURE_THREAD_ID) != 0);
    result.Set("procmapQuery", !(disabled & ZIO_FEATURE_PROCMAP_QUERY) && zio_mapping_can_query());
    zio_uffd_close(&uffd);
    if (uffd.device_fd >= 0)
        close(uffd.device_fd);
    return result;
}

Napi::Value ParseFeatures(const Napi::CallbackInfo &info) {
    const std::string list = info[0].As<Napi::String>();
    size_t bad_offset = 0;
    const long mask = zio_kernel_features_parse(list.c_str(), &bad_offset);
    return Napi::Number::New(info.Env(), mask >= 0 ? static_cast<double>(mask)
                                                   : -1.0 - static_cast<double>(bad_offset));
}

Napi::Value FeatureTable(Napi::Env env) {
    Napi::Array table = Napi::Array::New(env);
    uint32_t count = 0;
#define FEATURE_ROW(name, id, lost)                                                                \
    {                                                                                              \
        Napi::Array row = Napi::Array::New(env, 3);                                                \
        row.Set(0u, name);                                                                         \
        row.Set(1u, static_cast<double>(id));                                                      \
        row.Set(2u, lost);                                                                         \
        table.Set(count++, row);                                                                   \
    }
    ZIO_KERNEL_FEATURES(FEATURE_ROW)
#undef FEATURE_ROW
    return table;
}
