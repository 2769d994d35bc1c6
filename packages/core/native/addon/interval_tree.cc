// The JavaScript class over a view tree. Views cross the boundary as rows of a BigUint64Array, so that a
// translation makes no object per view here; src/interval-tree.ts makes the objects.
#include "interval_tree.h"

#include <array>
#include <optional>
#include <string>

namespace {

constexpr size_t kRowWords = OWNED_TREE_ROW;

void Throw(Napi::Env env, const std::string& message)
{
    Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
}

// Argument `index` as a 64-bit number; throws and gives nothing where it is not one.
std::optional<uint64_t> Word(const Napi::CallbackInfo& info, size_t index, const char* name)
{
    bool lossless = false;
    uint64_t word = 0;
    Napi::Value value = info[index];
    if (!value.IsBigInt()) {
        Throw(info.Env(), std::string(name) + " must be a bigint: write 4096n, or BigInt(number)");
        return std::nullopt;
    }
    word = value.As<Napi::BigInt>().Uint64Value(&lossless);
    if (!lossless) {
        Napi::RangeError::New(info.Env(), std::string(name) + " must lie between 0n and 2n ** 64n - 1n")
            .ThrowAsJavaScriptException();
        return std::nullopt;
    }
    return word;
}

// Argument `index` as room for `least` rows or more; throws and gives nothing where it is not.
std::optional<Napi::BigUint64Array> Rows(const Napi::CallbackInfo& info, size_t index, size_t least)
{
    Napi::Value value = info[index];
    if (value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_biguint64_array &&
        value.As<Napi::TypedArray>().ElementLength() >= least * kRowWords)
        return value.As<Napi::BigUint64Array>();
    Throw(info.Env(), "rows must be a BigUint64Array of at least " + std::to_string(least * kRowWords) +
                          " elements: make one with new BigUint64Array()");
    return std::nullopt;
}

} // namespace

Napi::Function IntervalTree::Define(Napi::Env env)
{
    return DefineClass(env, "NativeIntervalTree",
                       {
                           InstanceMethod<&IntervalTree::Insert>("insert"),
                           InstanceMethod<&IntervalTree::Carve>("carve"),
                           InstanceMethod<&IntervalTree::Next>("next"),
                           InstanceMethod<&IntervalTree::Translate>("translate"),
                           InstanceMethod<&IntervalTree::Check>("check"),
                           InstanceMethod<&IntervalTree::Size>("size"),
                           InstanceMethod<&IntervalTree::Dispose>("dispose"),
                       });
}

IntervalTree::IntervalTree(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<IntervalTree>(info), tree_(owned_tree_new())
{
    if (tree_ == nullptr)
        Napi::Error::New(info.Env(), "no memory for an IntervalTree").ThrowAsJavaScriptException();
    else
        AccountMemory(info.Env());
}

IntervalTree::~IntervalTree()
{
    owned_tree_free(tree_);
}

// Runs on the thread of the environment, unlike a destructor at its end.
void IntervalTree::Finalize(Napi::Env env)
{
    Napi::MemoryManagement::AdjustExternalMemory(env, -accounted_bytes_);
}

bool IntervalTree::Usable(Napi::Env env) const
{
    if (tree_ == nullptr)
        Throw(env, "this IntervalTree was disposed: make a new one");
    return tree_ != nullptr;
}

// Tells the garbage collector what a tree really weighs.
void IntervalTree::AccountMemory(Napi::Env env)
{
    int64_t bytes = tree_ == nullptr ? 0 : static_cast<int64_t>(owned_tree_bytes(tree_));
    if (bytes == accounted_bytes_)
        return;
    Napi::MemoryManagement::AdjustExternalMemory(env, bytes - accounted_bytes_);
    accounted_bytes_ = bytes;
}

// insert(start, length, handle, offset, tag): 0 or a negative code
Napi::Value IntervalTree::Insert(const Napi::CallbackInfo& info)
{
    Napi::Env env = info.Env();
    if (!Usable(env))
        return env.Undefined();
    std::array<uint64_t, kRowWords> words;
    const char* names[kRowWords] = {"start", "length", "handle", "offset", "tag"};
    for (size_t i = 0; i < kRowWords; i++) {
        std::optional<uint64_t> word = Word(info, i, names[i]);
        if (!word)
            return env.Undefined();
        words[i] = *word;
    }
    if (words[4] > UINT16_MAX) {
        Napi::RangeError::New(env, "tag must be at most 65535n").ThrowAsJavaScriptException();
        return env.Undefined();
    }
    int result = owned_tree_insert(tree_, words.data());
    AccountMemory(env);
    return Napi::Number::New(env, result);
}

// carve(start, length): 0 or a negative code
Napi::Value IntervalTree::Carve(const Napi::CallbackInfo& info)
{
    Napi::Env env = info.Env();
    if (!Usable(env))
        return env.Undefined();
    std::optional<uint64_t> start = Word(info, 0, "start");
    std::optional<uint64_t> length = start ? Word(info, 1, "length") : std::nullopt;
    if (!length)
        return env.Undefined();
    int result = owned_tree_carve(tree_, *start, *length);
    AccountMemory(env);
    return Napi::Number::New(env, result);
}

// next(address, rows): whether there is a view that ends after the address; it becomes the first row
Napi::Value IntervalTree::Next(const Napi::CallbackInfo& info)
{
    Napi::Env env = info.Env();
    if (!Usable(env))
        return env.Undefined();
    std::optional<uint64_t> address = Word(info, 0, "address");
    std::optional<Napi::BigUint64Array> rows = address ? Rows(info, 1, 1) : std::nullopt;
    if (!rows)
        return env.Undefined();
    return Napi::Boolean::New(env, owned_tree_next(tree_, *address, rows->Data()));
}

// translate(start, length, rows): the number of pieces, which fill the rows from the second on; the first element
// is the length of the part of the range that they describe
Napi::Value IntervalTree::Translate(const Napi::CallbackInfo& info)
{
    Napi::Env env = info.Env();
    if (!Usable(env))
        return env.Undefined();
    std::optional<uint64_t> start = Word(info, 0, "start");
    std::optional<uint64_t> length = start ? Word(info, 1, "length") : std::nullopt;
    std::optional<Napi::BigUint64Array> rows = length ? Rows(info, 2, 2) : std::nullopt;
    if (!rows)
        return env.Undefined();
    uint64_t* data = rows->Data();
    size_t max = rows->ElementLength() / kRowWords - 1;
    size_t count = owned_tree_translate(tree_, *start, *length, data + kRowWords, max, data);
    return Napi::Number::New(env, static_cast<double>(count));
}

// check(): 0, or the line of the violated invariant
Napi::Value IntervalTree::Check(const Napi::CallbackInfo& info)
{
    Napi::Env env = info.Env();
    return Usable(env) ? Napi::Number::New(env, owned_tree_check(tree_)) : env.Undefined();
}

Napi::Value IntervalTree::Size(const Napi::CallbackInfo& info)
{
    Napi::Env env = info.Env();
    return Usable(env) ? Napi::Number::New(env, static_cast<double>(owned_tree_count(tree_))) : env.Undefined();
}

// dispose(): gives the memory back at once; a second call does nothing
Napi::Value IntervalTree::Dispose(const Napi::CallbackInfo& info)
{
    owned_tree_free(tree_);
    tree_ = nullptr;
    AccountMemory(info.Env());
    return info.Env().Undefined();
}
