// Looking at a pool that nobody has open, without changing it; and salvaging what is provably good
// of it.
#include <cerrno>
#include <map>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "objects.h"
#include "pool_handle.h"
#include "task.h"

namespace {

struct FileReport {
    zio_nvm_file_entry entry;
    std::string path, salvaged;
    std::vector<std::pair<uint64_t, uint64_t>> ranges; // offset, length
    int descriptor = -1;
};

struct Report {
    std::string directory; // "": only look
    zio_nvm_recovery recovery = {};
    struct zio_nvm_stats stats = {};
    bool has_stats = false, damaged = false;
    zio_nvm_problem damage = {};
    std::map<uint32_t, FileReport> files;
    uint64_t records = 0, bytes = 0;
    ~Report() {
        for (auto &file : files)
            if (file.second.descriptor >= 0)
                close(file.second.descriptor);
    }
};

int AddFile(void *context, const zio_nvm_file_entry *entry) {
    auto *report = static_cast<Report *>(context);
    FileReport &file = report->files[entry->slot];
    file.entry = *entry;
    file.path = entry->path;
    return 0;
}

int WriteAll(int descriptor, const unsigned char *data, uint64_t length, uint64_t offset) {
    while (length > 0) {
        const ssize_t done = pwrite(descriptor, data, length, static_cast<off_t>(offset));
        if (done < 0 && errno != EINTR)
            return -errno;
        if (done > 0) {
            data += done;
            offset += static_cast<uint64_t>(done);
            length -= static_cast<uint64_t>(done);
        }
    }
    return 0;
}

int AddRecord(void *context, const zio_nvm_good_record *record) {
    auto *report = static_cast<Report *>(context);
    FileReport &file = report->files[record->slot];
    report->records++;
    report->bytes += record->length;
    if (!file.ranges.empty() &&
        file.ranges.back().first + file.ranges.back().second == record->offset)
        file.ranges.back().second += record->length;
    else
        file.ranges.emplace_back(record->offset, record->length);
    if (report->directory.empty())
        return 0;
    if (file.descriptor < 0) {
        const size_t slash = file.path.rfind('/');
        file.salvaged = report->directory + "/" + std::to_string(record->slot) + "-" +
                        file.path.substr(slash == std::string::npos ? 0 : slash + 1);
        file.descriptor = open(file.salvaged.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (file.descriptor < 0)
            return -errno;
    }
    return WriteAll(file.descriptor, record->data, record->length, record->offset);
}

int Look(Report *report, const std::string &path, zio_nvm_problem *problem) {
    zio_nvm_open_options options = {};
    options.read_only = true;
    zio_nvm_pool *pool = nullptr;
    int code = zio_nvm_open(path.c_str(), &options, &pool, &report->recovery, problem);
    if (!pool)
        return code;
    zio_nvm_stats(pool, &report->stats);
    report->has_stats = true;
    zio_nvm_each_file(pool, AddFile, report);
    auto damage = std::make_unique<zio_nvm_problem>();
    code = zio_nvm_each_record(pool, AddRecord, report, damage.get());
    if (code < 0 && damage->kind != ZIO_NVM_NONE) {
        report->damaged = true;
        report->damage = *damage;
        code = 0;
    }
    for (auto &file : report->files)
        if (code == 0 && file.second.descriptor >= 0 && fsync(file.second.descriptor) < 0)
            code = -errno;
    zio_nvm_abandon(pool);
    return code;
}

Napi::Value ReportObject(Napi::Env env, const Report &report) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("recovery", RecoveryObject(env, report.recovery));
    object.Set("stats", StatsObject(env, report.stats));
    object.Set("goodRecords", static_cast<double>(report.records));
    object.Set("goodBytes", static_cast<double>(report.bytes));
    if (report.damaged)
        object.Set("damage", ProblemObject(env, report.damage));
    Napi::Array files = Napi::Array::New(env);
    uint32_t count = 0;
    for (const auto &each : report.files) {
        const FileReport &file = each.second;
        Napi::Object row = Napi::Object::New(env);
        row.Set("path", file.path);
        row.Set("slot", file.entry.slot);
        row.Set("inode", static_cast<double>(file.entry.inode));
        row.Set("sizeBytes", static_cast<double>(file.entry.bytes));
        if (!file.salvaged.empty())
            row.Set("salvaged", file.salvaged);
        Napi::Array ranges = Napi::Array::New(env, file.ranges.size());
        for (uint32_t i = 0; i < file.ranges.size(); i++) {
            Napi::Array range = Napi::Array::New(env, 2);
            range.Set(0u, static_cast<double>(file.ranges[i].first));
            range.Set(1u, static_cast<double>(file.ranges[i].second));
            ranges.Set(i, range);
        }
        row.Set("ranges", ranges);
        files.Set(count++, row);
    }
    object.Set("files", files);
    return object;
}

} // namespace

// (path, directory): what is in the pool; with a directory, which exists, what is good is written
// there too
Napi::Value Inspect(const Napi::CallbackInfo &info) {
    std::string path = info[0].As<Napi::String>();
    const Shared<Report> report;
    report->directory = info[1].As<Napi::String>();
    return Task::Run(
        info.Env(), {}, [=](zio_nvm_problem *problem) { return Look(report.get(), path, problem); },
        [=](Napi::Env env) -> Napi::Value { return ReportObject(env, *report); });
}
