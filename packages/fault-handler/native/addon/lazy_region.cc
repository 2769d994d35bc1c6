#include "lazy_region.h"

#include "lazy_engine.h"

namespace {

using Handle = Napi::External<zio_lazy_region>;

// What the ArrayBuffer keeps alive: the region, and the memory that it is filled from.
struct Ownership {
    zio_lazy_region *region;
    Napi::Reference<Napi::Value> source;
};

void ReleaseOwnership(napi_env, void *, void *hint) {
    auto *ownership = static_cast<Ownership *>(hint);
    // No filling may start after the source is let go.
    zio_lazy_region_unmap(ownership->region);
    zio_lazy_region_release(ownership->region);
    delete ownership;
}

zio_lazy_options Options(const Napi::CallbackInfo &info, size_t first) {
    return {
        .max_window_bytes = static_cast<uint64_t>(info[first].As<Napi::Number>().Int64Value()),
        .poison = info[first + 1].As<Napi::Boolean>(),
        .disabled = info[first + 2].As<Napi::Number>().Uint32Value(),
    };
}

// [handle, ArrayBuffer]; null where the runtime takes no external buffers, undefined where it has
// another reason. Takes the region's reference.
Napi::Value Wrap(Napi::Env env, zio_lazy_region *region, size_t length, Napi::Value source) {
    auto *ownership = new Ownership{region, {}};
    if (!source.IsEmpty())
        ownership->source = Napi::Reference<Napi::Value>::New(source, 1);
    zio_lazy_region_hold(region); // the handle's
    napi_value buffer;
    const napi_status status = napi_create_external_arraybuffer(
        env, zio_lazy_region_data(region), length, ReleaseOwnership, ownership, &buffer);
    if (status != napi_ok) {
        ReleaseOwnership(env, nullptr, ownership);
        zio_lazy_region_release(region);
        return status == napi_no_external_buffers_allowed ? env.Null() : env.Undefined();
    }
    Napi::Array pair = Napi::Array::New(env, 2);
    pair.Set(0u, Handle::New(env, region, [](Napi::Env, zio_lazy_region *held) {
                 zio_lazy_region_release(held);
             }));
    pair.Set(1u, buffer);
    return pair;
}

uint64_t Bytes(const Napi::Value &value) {
    return static_cast<uint64_t>(value.As<Napi::Number>().Int64Value());
}

} // namespace

// (bytes: Uint8Array, borrow, maxWindowBytes, poison, disabled)
Napi::Value LazyRegionOfMemory(const Napi::CallbackInfo &info) {
    const auto bytes = info[0].As<Napi::Uint8Array>();
    const bool borrow = info[1].As<Napi::Boolean>();
    const zio_lazy_options options = Options(info, 2);
    zio_lazy_region *region = nullptr;
    const int code =
        zio_lazy_region_of_memory(borrow ? ZIO_LAZY_BORROWED : ZIO_LAZY_COPIED, bytes.Data(),
                                  bytes.ByteLength(), bytes.ByteLength(), &options, &region);
    if (code != 0)
        return Napi::Number::New(info.Env(), code);
    return Wrap(info.Env(), region, bytes.ByteLength(), borrow ? info[0] : Napi::Value());
}

// (fd, offset, available, length, maxWindowBytes, poison, disabled)
Napi::Value LazyRegionOfFile(const Napi::CallbackInfo &info) {
    const int fd = info[0].As<Napi::Number>().Int32Value();
    const uint64_t length = Bytes(info[3]);
    const zio_lazy_options options = Options(info, 4);
    zio_lazy_region *region = nullptr;
    const int code =
        zio_lazy_region_of_file(fd, Bytes(info[1]), Bytes(info[2]), length, &options, &region);
    if (code != 0)
        return Napi::Number::New(info.Env(), code);
    return Wrap(info.Env(), region, length, Napi::Value());
}

// (handle): [faults, filledBytes, errorCount, offset, length, offset, length, ...]
Napi::Value LazyRegionStats(const Napi::CallbackInfo &info) {
    zio_lazy_stats stats;
    zio_lazy_region_stats(info[0].As<Handle>().Data(), &stats);
    Napi::Array row = Napi::Array::New(info.Env());
    uint32_t at = 0;
    const auto push = [&](uint64_t number) { row.Set(at++, static_cast<double>(number)); };
    push(stats.faults);
    push(stats.filled_bytes);
    push(stats.error_count);
    for (uint64_t i = 0; i < stats.error_count && i < ZIO_LAZY_ERRORS; i++) {
        push(stats.errors[i].offset);
        push(stats.errors[i].length);
    }
    return row;
}

// (handle, ArrayBuffer): whether the ArrayBuffer could be detached; then the memory is gone.
Napi::Value LazyRegionDispose(const Napi::CallbackInfo &info) {
    if (napi_detach_arraybuffer(info.Env(), info[1]) != napi_ok)
        return Napi::Boolean::New(info.Env(), false);
    zio_lazy_region_unmap(info[0].As<Handle>().Data());
    return Napi::Boolean::New(info.Env(), true);
}
