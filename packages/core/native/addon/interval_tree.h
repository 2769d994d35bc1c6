// A view tree with a slab of its own, as a JavaScript class. No state outside the object: any number of threads
// and contexts may load the addon, and each object belongs to the thread that made it.
#pragma once

#include <napi.h>

extern "C" {
#include "owned_tree.h"
}

class IntervalTree : public Napi::ObjectWrap<IntervalTree> {
  public:
    static Napi::Function Define(Napi::Env env);
    explicit IntervalTree(const Napi::CallbackInfo& info);
    ~IntervalTree() override;
    void Finalize(Napi::Env env) override;

  private:
    Napi::Value Insert(const Napi::CallbackInfo& info);
    Napi::Value Carve(const Napi::CallbackInfo& info);
    Napi::Value Next(const Napi::CallbackInfo& info);
    Napi::Value Translate(const Napi::CallbackInfo& info);
    Napi::Value Check(const Napi::CallbackInfo& info);
    Napi::Value Size(const Napi::CallbackInfo& info);
    Napi::Value Dispose(const Napi::CallbackInfo& info);

    bool Usable(Napi::Env env) const;
    void AccountMemory(Napi::Env env);

    struct owned_tree* tree_; // null: disposed
    int64_t accounted_bytes_ = 0;
};
