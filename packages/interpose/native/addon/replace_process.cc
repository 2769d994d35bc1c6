// Becoming another program, as the same process. The kernel ends all other threads; what they hold must not matter then.
#include "replace_process.h"

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <vector>

static std::vector<std::string> Strings(const Napi::Value& value)
{
    const auto array = value.As<Napi::Array>();
    std::vector<std::string> strings;
    for (uint32_t i = 0; i < array.Length(); i++)
        strings.push_back(array.Get(i).As<Napi::String>().Utf8Value());
    return strings;
}

static std::vector<char*> Pointers(std::vector<std::string>& strings)
{
    std::vector<char*> pointers;
    for (auto& string : strings)
        pointers.push_back(string.data());
    pointers.push_back(nullptr);
    return pointers;
}

Napi::Value ReplaceProcess(const Napi::CallbackInfo& info)
{
    const std::string path = info[0].As<Napi::String>().Utf8Value();
    auto arguments = Strings(info[1]);
    auto environment = Strings(info[2]);
    const auto descriptors = info[3].As<Napi::Array>();
    std::vector<int> opened;
    for (uint32_t i = 0; i < descriptors.Length(); i++) {
        const int descriptor = descriptors.Get(i).As<Napi::Number>().Int32Value();
        const int flags = fcntl(descriptor, F_GETFD);
        if (flags >= 0 && (flags & FD_CLOEXEC) && fcntl(descriptor, F_SETFD, flags & ~FD_CLOEXEC) == 0)
            opened.push_back(descriptor);
    }
    execve(path.c_str(), Pointers(arguments).data(), Pointers(environment).data());
    const int error = errno;
    for (const int descriptor : opened)
        fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    return Napi::Number::New(info.Env(), -error);
}
