#include "pool_handle.h"

#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "objects.h"
#include "task.h"

extern "C" {
#include "zio/nvm_probe.h"
}

namespace {

// A pool that the garbage collector finds is one that nobody closed: as after the death of the
// process, its log stays.
struct PoolHandle {
    zio_nvm_pool *pool = nullptr;
    ~PoolHandle() {
        if (pool)
            zio_nvm_abandon(pool);
    }
};

using PoolExternal = Napi::External<PoolHandle>;
using FileExternal = Napi::External<zio_nvm_file>;

zio_nvm_pool *PoolOf(const Napi::Value &value) {
    return value.As<PoolExternal>().Data()->pool;
}

uint64_t Whole(const Napi::Value &value) {
    return static_cast<uint64_t>(value.As<Napi::Number>().Int64Value());
}

Napi::Value Nothing(Napi::Env env) {
    return env.Undefined();
}

} // namespace

// (directory)
Napi::Value Probe(const Napi::CallbackInfo &info) {
    struct Found {
        zio_nvm_medium medium;
        const char *flush;
    };
    const Shared<Found> found;
    std::string directory = info[0].As<Napi::String>();
    return Task::Run(
        info.Env(), {},
        [=](zio_nvm_problem *problem) {
            return zio_nvm_probe(directory.c_str(), &found->medium, &found->flush, problem);
        },
        [=](Napi::Env env) -> Napi::Value {
            Napi::Object object = Napi::Object::New(env);
            object.Set("medium", MediumName(found->medium));
            object.Set("flush", found->flush);
            return object;
        });
}

// (path, bytes, ringBytes, files, checksumData)
Napi::Value Create(const Napi::CallbackInfo &info) {
    std::string path = info[0].As<Napi::String>();
    const zio_nvm_create_options options = {
        .bytes = Whole(info[1]),
        .ring_bytes = Whole(info[2]),
        .files = info[3].As<Napi::Number>().Uint32Value(),
        .checksum_data = info[4].As<Napi::Boolean>(),
    };
    return Task::Run(
        info.Env(), {},
        [=](zio_nvm_problem *problem) { return zio_nvm_create(path.c_str(), &options, problem); },
        Nothing);
}

// (path, acceptChanged): [handle, recovery]
Napi::Value Open(const Napi::CallbackInfo &info) {
    std::string path = info[0].As<Napi::String>();
    const bool accept_changed = info[1].As<Napi::Boolean>();
    const Shared<PoolHandle> handle;
    const Shared<zio_nvm_recovery> recovery;
    return Task::Run(
        info.Env(), {},
        [=](zio_nvm_problem *problem) {
            zio_nvm_open_options options = {};
            options.accept_changed = accept_changed;
            return zio_nvm_open(path.c_str(), &options, &handle->pool, recovery.get(), problem);
        },
        [=](Napi::Env env) -> Napi::Value {
            Napi::Array pair = Napi::Array::New(env, 2);
            auto *owned = new PoolHandle;
            std::swap(owned->pool, handle->pool);
            pair.Set(0u,
                     PoolExternal::New(env, owned, [](Napi::Env, PoolHandle *old) { delete old; }));
            pair.Set(1u, RecoveryObject(env, *recovery));
            return pair;
        });
}

// (handle)
Napi::Value Close(const Napi::CallbackInfo &info) {
    auto *handle = info[0].As<PoolExternal>().Data();
    zio_nvm_pool *pool = handle->pool;
    handle->pool = nullptr;
    return Task::Run(
        info.Env(), {info[0]},
        [=](zio_nvm_problem *problem) { return zio_nvm_close(pool, problem); }, Nothing);
}

// (handle, bytes)
Napi::Value Resize(const Napi::CallbackInfo &info) {
    zio_nvm_pool *pool = PoolOf(info[0]);
    const uint64_t bytes = Whole(info[1]);
    return Task::Run(
        info.Env(), {info[0]}, [=](zio_nvm_problem *) { return zio_nvm_resize(pool, bytes); },
        Nothing);
}

// (handle, path): a file, which is made where it is absent
Napi::Value Attach(const Napi::CallbackInfo &info) {
    zio_nvm_pool *pool = PoolOf(info[0]);
    std::string path = info[1].As<Napi::String>();
    const Shared<zio_nvm_file *> file;
    return Task::Run(
        info.Env(), {info[0]},
        [=](zio_nvm_problem *problem) {
            int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
            if (descriptor < 0)
                return -errno;
            const int code = zio_nvm_attach(pool, descriptor, path.c_str(), file.get(), problem);
            close(descriptor);
            return code;
        },
        [=](Napi::Env env) -> Napi::Value { return FileExternal::New(env, *file); });
}

// (file)
Napi::Value Detach(const Napi::CallbackInfo &info) {
    zio_nvm_detach(info[0].As<FileExternal>().Data());
    return info.Env().Undefined();
}

// (handle, file, buffers): [bytes written, offset]
Napi::Value Append(const Napi::CallbackInfo &info) {
    zio_nvm_file *file = info[1].As<FileExternal>().Data();
    Napi::Array buffers = info[2].As<Napi::Array>();
    const Shared<std::vector<zio_storage_piece>> pieces;
    std::vector<Napi::Value> kept = {info[0], info[2]};
    for (uint32_t i = 0; i < buffers.Length(); i++) {
        const auto bytes = buffers.Get(i).As<Napi::Uint8Array>();
        pieces->push_back({bytes.Data(), bytes.ByteLength(), 0});
        kept.push_back(bytes.ArrayBuffer());
    }
    const Shared<std::pair<ssize_t, uint64_t>> result;
    return Task::Run(
        info.Env(), std::move(kept),
        [=](zio_nvm_problem *) {
            result->first = zio_nvm_log(file, -1, pieces->data(), pieces->size(), &result->second);
            return result->first < 0 ? static_cast<int>(result->first) : 0;
        },
        [=](Napi::Env env) -> Napi::Value {
            Napi::Array pair = Napi::Array::New(env, 2);
            pair.Set(0u, static_cast<double>(result->first));
            pair.Set(1u, static_cast<double>(result->second));
            return pair;
        });
}

// (handle, file, offset, into): bytes read
Napi::Value Read(const Napi::CallbackInfo &info) {
    zio_nvm_file *file = info[1].As<FileExternal>().Data();
    const int64_t offset = info[2].As<Napi::Number>().Int64Value();
    auto into = info[3].As<Napi::Uint8Array>();
    const iovec piece = {into.Data(), into.ByteLength()};
    const Shared<ssize_t> result;
    return Task::Run(
        info.Env(), {info[0], into, into.ArrayBuffer()},
        [=](zio_nvm_problem *) {
            *result = zio_nvm_read(file, offset, &piece, 1);
            return *result < 0 ? static_cast<int>(*result) : 0;
        },
        [=](Napi::Env env) -> Napi::Value {
            return Napi::Number::New(env, static_cast<double>(*result));
        });
}

// (handle)
Napi::Value Sync(const Napi::CallbackInfo &info) {
    zio_nvm_pool *pool = PoolOf(info[0]);
    return Task::Run(
        info.Env(), {info[0]}, [=](zio_nvm_problem *) { return zio_nvm_sync(pool); }, Nothing);
}

// (handle)
Napi::Value Digest(const Napi::CallbackInfo &info) {
    zio_nvm_pool *pool = PoolOf(info[0]);
    return Task::Run(
        info.Env(), {info[0]},
        [=](zio_nvm_problem *problem) { return zio_nvm_digest(pool, problem); }, Nothing);
}

// (handle)
Napi::Value Stats(const Napi::CallbackInfo &info) {
    struct zio_nvm_stats stats;
    zio_nvm_stats(PoolOf(info[0]), &stats);
    return StatsObject(info.Env(), stats);
}

// (file)
Napi::Value FileBytes(const Napi::CallbackInfo &info) {
    const uint64_t bytes = zio_nvm_file_bytes(info[0].As<FileExternal>().Data());
    return Napi::Number::New(info.Env(), static_cast<double>(bytes));
}
