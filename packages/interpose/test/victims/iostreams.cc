/* Case 14: C++ streams with large buffers over files and pipes, strings and vectors between. */
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

static int failures;

static char at(unsigned stream, size_t position) {
    uint64_t x = (position / 8 + stream * 1000003u) * UINT64_C(0x9E3779B97F4A7C15);
    x ^= x >> 29;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    return static_cast<char>(x >> (8 * (position % 8) % 56));
}

static std::string text(unsigned stream, size_t count) {
    std::string made(count, 0);
    for (size_t i = 0; i < count; i++)
        made[i] = at(stream, i);
    return made;
}

static void expect(bool held, const char *what) {
    if (held)
        return;
    failures++;
    std::cout << "failed: " << what << std::endl;
}

/* Received by read(2), as the views to start from. */
static std::string received(unsigned stream, size_t count) {
    int ends[2];
    std::string source = text(stream, count), got(count, 0);
    if (pipe(ends) || fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) < 0)
        _exit(70);
    expect(write(ends[1], source.data(), count) == static_cast<ssize_t>(count), "write");
    expect(read(ends[0], &got[0], count) == static_cast<ssize_t>(count), "read");
    close(ends[0]), close(ends[1]);
    return got;
}

static void files() {
    const size_t size = 400000;
    std::string first = received(1, size), second = first; /* a copy */
    std::vector<char> large(1 << 18), other(1 << 17);
    {
        std::ofstream out;
        out.rdbuf()->pubsetbuf(large.data(), static_cast<std::streamsize>(large.size()));
        out.open("stream.bin", std::ios::binary);
        out << second;
        out.write(first.data(), 100);
        out.write(first.data(), static_cast<std::streamsize>(size));
        expect(out.good(), "output");
    }
    std::ifstream in;
    in.rdbuf()->pubsetbuf(other.data(), static_cast<std::streamsize>(other.size()));
    in.open("stream.bin", std::ios::binary);
    std::string back(size, 0), rest;
    in.read(&back[0], static_cast<std::streamsize>(size));
    expect(back == text(1, size), "the first part");
    in.seekg(static_cast<std::streamoff>(size + 100));
    std::ostringstream all;
    all << in.rdbuf();
    rest = all.str();
    expect(rest == text(1, size), "the second part");
    in.clear();
    in.seekg(0);
    std::vector<char> letters((std::istreambuf_iterator<char>(in)),
                              std::istreambuf_iterator<char>());
    expect(letters.size() == 2 * size + 100 &&
               std::equal(first.begin(), first.end(), letters.begin()),
           "letter by letter");
    unlink("stream.bin");
}

static void lines() {
    {
        std::ofstream out("lines.txt");
        for (int i = 0; i < 5000; i++)
            out << i << ' ' << std::string(static_cast<size_t>(i * 37 % 150), 'x') << '\n';
    }
    std::vector<char> large(1 << 18);
    std::ifstream in;
    in.rdbuf()->pubsetbuf(large.data(), static_cast<std::streamsize>(large.size()));
    in.open("lines.txt");
    std::string line;
    int count = 0;
    while (std::getline(in, line)) {
        std::istringstream fields(line);
        int number = -1;
        std::string xs;
        fields >> number >> xs;
        expect(number == count && xs.size() == static_cast<size_t>(count * 37 % 150), "a line");
        count++;
    }
    std::cout << count << " lines" << std::endl;
    unlink("lines.txt");
}

static void containers() {
    const size_t size = 300000;
    std::string value = received(2, size);
    std::string joined;
    for (int i = 0; i < 4; i++)
        joined += value; /* grows by copying */
    joined.insert(1000, value.substr(5000, 100000));
    joined.erase(1000, 100000); /* an overlapping move */
    for (size_t i = 0; i < 4; i++)
        expect(joined.compare(i * size, size, text(2, size)) == 0, "joined");
    std::vector<std::string> many(20, value);
    many[3][70000] ^= 1;
    std::rotate(many.begin(), many.begin() + 7, many.end());
    expect(many[0] == value && many[19] == value && many[16] != value, "copies");
    std::deque<char> queue(value.begin(), value.end());
    expect(std::equal(queue.begin(), queue.end(), value.begin()), "deque");
    std::vector<char> bytes(value.begin(), value.end());
    bytes.resize(2 * size);
    expect(std::memcmp(bytes.data(), value.data(), size) == 0 && bytes[size + 5] == 0, "resized");
}

static void through_a_child() {
    const size_t size = 500000;
    std::string original = received(3, size), value = original;
    int ends[2];
    if (pipe(ends))
        _exit(70);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        std::ofstream out("/proc/self/fd/" + std::to_string(ends[1]), std::ios::binary);
        out << value;
        out.close();
        _exit(out.good() ? 0 : 1);
    }
    close(ends[1]);
    std::ifstream in("/proc/self/fd/" + std::to_string(ends[0]), std::ios::binary);
    std::string got((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    expect(got == text(3, size), "from the child");
    int status = -1;
    waitpid(child, &status, 0);
    expect(status == 0 && value == text(3, size), "the child");
}

int main(int argc, char **argv) {
    const std::vector<std::pair<std::string, void (*)()>> cases = {
        {"files", files},
        {"lines", lines},
        {"containers", containers},
        {"through-a-child", through_a_child}};
    for (const auto &one : cases) {
        if (argc < 2)
            std::cout << one.first << std::endl;
        else if (one.first == argv[1])
            one.second(), std::cout << argv[1] << (failures ? ": failed" : ": done") << std::endl;
    }
    return failures ? 1 : 0;
}
