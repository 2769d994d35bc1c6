// Work off the event loop: a function runs on a thread of libuv's pool, what it leaves becomes what
// a promise resolves to.
#ifndef ZIO_NVM_ADDON_TASK_H
#define ZIO_NVM_ADDON_TASK_H

#include <atomic>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <napi.h>

extern "C" {
#include "zio/nvm.h"
}

// A failure as JavaScript sees it.
Napi::Object ProblemObject(Napi::Env env, const zio_nvm_problem &problem);

// A value that the work and what follows it share. That of the C++ library asks glibc 2.32 how many
// threads there are.
template <typename T> class Shared {
    struct Box {
        std::atomic<int> holders{1};
        T value{};
    };
    Box *box_ = new Box;

  public:
    Shared() = default;
    Shared(const Shared &other) : box_(other.box_) {
        box_->holders++;
    }
    Shared &operator=(const Shared &) = delete;
    ~Shared() {
        if (--box_->holders == 0)
            delete box_;
    }
    T *get() const {
        return &box_->value;
    }
    T *operator->() const {
        return get();
    }
    T &operator*() const {
        return box_->value;
    }
};

// The work returns 0 or a negative errno, and then the problem says more. The promise is never
// rejected: it resolves to the value, or to { problem }, which TypeScript throws.
class Task : public Napi::AsyncWorker {
  public:
    using Work = std::function<int(zio_nvm_problem *)>;
    using Value = std::function<Napi::Value(Napi::Env)>;

    // `kept` are values that must live until the work is done.
    static Napi::Value Run(Napi::Env env, std::vector<Napi::Value> kept, Work work, Value value) {
        auto *task = new Task(env, std::move(work), std::move(value));
        for (const Napi::Value &each : kept)
            task->kept_.push_back(Napi::Reference<Napi::Value>::New(each, 1));
        task->Queue();
        return task->deferred_.Promise();
    }

  protected:
    void Execute() override {
        problem_->kind = ZIO_NVM_NONE;
        code_ = work_(problem_.get());
        if (code_ < 0 && problem_->kind == ZIO_NVM_NONE) {
            problem_->kind = ZIO_NVM_SYSTEM;
            problem_->code = code_;
            problem_->action = nullptr;
            problem_->owner_pid = 0;
            problem_->offset = 0;
            problem_->path[0] = 0;
        }
    }

    void OnOK() override {
        Napi::HandleScope scope(Env());
        if (code_ >= 0) {
            deferred_.Resolve(value_(Env()));
            return;
        }
        Napi::Object failure = Napi::Object::New(Env());
        failure.Set("problem", ProblemObject(Env(), *problem_));
        deferred_.Resolve(failure);
    }

  private:
    Task(Napi::Env env, Work work, Value value)
        : Napi::AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)),
          work_(std::move(work)), value_(std::move(value)),
          problem_(std::make_unique<zio_nvm_problem>()) {}

    Napi::Promise::Deferred deferred_;
    Work work_;
    Value value_;
    std::unique_ptr<zio_nvm_problem> problem_;
    std::vector<Napi::Reference<Napi::Value>> kept_;
    int code_ = 0;
};

#endif
