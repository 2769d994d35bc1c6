#include "objects.h"

#include "pool_handle.h"
#include "task.h"

const char *MediumName(int medium) {
    return medium == ZIO_NVM_MEDIUM_DAX ? "dax" : medium == ZIO_NVM_MEDIUM_DRAM ? "dram" : "disk";
}

Napi::Object ProblemObject(Napi::Env env, const zio_nvm_problem &problem) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("kind", zio_nvm_problem_name(problem.kind));
    object.Set("text", zio_nvm_problem_text(problem.kind));
    object.Set("code", problem.code);
    object.Set("offset", static_cast<double>(problem.offset));
    object.Set("action", problem.action ? problem.action : "");
    object.Set("ownerPid", problem.owner_pid);
    object.Set("path", std::string(problem.path));
    return object;
}

Napi::Value ProblemTable(Napi::Env env) {
    Napi::Array table = Napi::Array::New(env);
    for (uint32_t kind = 0; kind < ZIO_NVM_PROBLEM_COUNT; kind++)
        table.Set(kind, zio_nvm_problem_name(static_cast<zio_nvm_problem_kind>(kind)));
    return table;
}

Napi::Object RecoveryObject(Napi::Env env, const zio_nvm_recovery &recovery) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("wasClean", recovery.was_clean);
    object.Set("sameBoot", recovery.same_boot);
    object.Set("repairedCopies", recovery.repaired);
    object.Set("records", static_cast<double>(recovery.records));
    object.Set("bytes", static_cast<double>(recovery.bytes));
    object.Set("droppedRecords", static_cast<double>(recovery.dropped));
    return object;
}

Napi::Object StatsObject(Napi::Env env, const struct zio_nvm_stats &stats) {
    Napi::Object object = Napi::Object::New(env);
    const auto number = [&](const char *name, uint64_t value) {
        object.Set(name, static_cast<double>(value));
    };
    static const char digits[] = "0123456789abcdef";
    std::string uuid;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            uuid += '-';
        uuid += digits[stats.uuid[i] >> 4];
        uuid += digits[stats.uuid[i] & 15];
    }
    object.Set("uuid", uuid);
    object.Set("formatVersion", stats.version);
    object.Set("checksumsData", (stats.flags & 1) != 0);
    object.Set("medium", MediumName(stats.medium));
    object.Set("flush", std::string(stats.flush));
    number("sizeBytes", stats.bytes);
    number("dataBytes", stats.data_bytes);
    number("dataFreeBytes", stats.data_free);
    number("ringBytes", stats.ring_bytes);
    number("ringUsedBytes", stats.ring_used);
    number("ringOffset", stats.ring_offset);
    number("dataOffset", stats.data_offset);
    number("sequence", stats.sequence);
    number("committedSequence", stats.committed);
    number("appendedBytes", stats.appended_bytes);
    number("digestedBytes", stats.digested_bytes);
    number("commits", stats.commits);
    number("digests", stats.digests);
    number("waits", stats.waits);
    number("files", stats.files);
    number("fileSlots", stats.file_slots);
    return object;
}
