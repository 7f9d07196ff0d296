#include "Connection.hpp"

#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// The wire is little-endian and samples are copied as they lie in memory.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "this driver is for little-endian machines");
static_assert(sizeof(Sample) == 8, "a sample is two 32-bit floats");

namespace {

constexpr std::size_t MAX_MESSAGE = 1 + 16 + 8 * MAX_SAMPLES;

std::runtime_error failed(const std::string &what)
{
    return std::runtime_error("crqkd air: " + what + ": " + std::strerror(errno));
}

template <typename T> void put(std::vector<std::uint8_t> &to, T value)
{
    const auto at = to.size();
    to.resize(at + sizeof value);
    std::memcpy(&to[at], &value, sizeof value);
}

template <typename T> T take(const std::vector<std::uint8_t> &from, std::size_t at)
{
    if (from.size() < at + sizeof(T)) throw std::runtime_error("crqkd air: a message is too short");
    T value;
    std::memcpy(&value, &from[at], sizeof value);
    return value;
}

// Room for the length, and the kind.
std::vector<std::uint8_t> begin(std::uint8_t kind)
{
    return {0, 0, 0, 0, kind};
}

int connect_unix(const std::string &path)
{
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    if (path.size() >= sizeof to.sun_path) throw std::runtime_error("crqkd air: path too long: " + path);
    std::memcpy(to.sun_path, path.c_str(), path.size() + 1);
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    if (socket < 0) throw failed(path);
    if (::connect(socket, reinterpret_cast<sockaddr *>(&to), sizeof to) != 0)
    {
        const auto error = failed(path);
        ::close(socket);
        throw error;
    }
    return socket;
}

int connect_tcp(const std::string &address)
{
    const auto colon = address.rfind(':');
    if (colon == std::string::npos) throw std::runtime_error("crqkd air: no port in " + address);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo *list = nullptr;
    const auto host = address.substr(0, colon), port = address.substr(colon + 1);
    if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list); error != 0)
        throw std::runtime_error("crqkd air: " + address + ": " + ::gai_strerror(error));
    int socket = -1;
    for (auto *to = list; to != nullptr && socket < 0; to = to->ai_next)
    {
        socket = ::socket(to->ai_family, to->ai_socktype, to->ai_protocol);
        if (socket >= 0 && ::connect(socket, to->ai_addr, to->ai_addrlen) != 0)
        {
            ::close(socket);
            socket = -1;
        }
    }
    ::freeaddrinfo(list);
    if (socket < 0) throw failed(address);
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return socket;
}

} // namespace

Connection::Connection(const std::string &address, std::uint16_t radio)
    : socket_(address.find('/') != std::string::npos ? connect_unix(address) : connect_tcp(address))
{
    try
    {
        auto hello = begin(1);
        put<std::uint16_t>(hello, 1); // version
        put<std::uint8_t>(hello, 1);  // part: samples only
        put<std::uint16_t>(hello, radio);
        send(hello);
        const auto answer = read();
        if (!answer.empty() && (answer[0] == 2 || answer[0] == 8)) // refused, or not yet
            throw std::runtime_error("crqkd air: " + std::string(answer.begin() + 1, answer.end()));
        if (answer.size() != 4 || answer[0] != 1 || take<std::uint16_t>(answer, 1) != 1)
            throw std::runtime_error("crqkd air: " + address + " does not speak version 1 of the air protocol");
        receiver_ = answer[3] != 0;
    }
    catch (...)
    {
        ::close(socket_);
        throw;
    }
}

Connection::~Connection()
{
    ::close(socket_);
}

void Connection::send(std::vector<std::uint8_t> &message)
{
    const auto length = static_cast<std::uint32_t>(message.size() - 4);
    std::memcpy(message.data(), &length, sizeof length);
    const std::lock_guard<std::mutex> lock(mutex_);
    for (std::size_t done = 0; done < message.size();)
    {
        const auto n = ::send(socket_, message.data() + done, message.size() - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) throw failed("sending");
        done += static_cast<std::size_t>(n);
    }
}

std::vector<std::uint8_t> Connection::read()
{
    const auto fill = [this](std::uint8_t *to, std::size_t count) {
        for (std::size_t done = 0; done < count;)
        {
            const auto n = ::recv(socket_, to + done, count - done, 0);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw failed("receiving");
            if (n == 0) throw std::runtime_error("crqkd air: the server has closed the connection");
            done += static_cast<std::size_t>(n);
        }
    };
    std::uint32_t length = 0;
    fill(reinterpret_cast<std::uint8_t *>(&length), sizeof length);
    if (length == 0 || length > MAX_MESSAGE)
        throw std::runtime_error("crqkd air: a message of " + std::to_string(length) + " bytes");
    std::vector<std::uint8_t> message(length);
    fill(message.data(), length);
    return message;
}

Message Connection::receive()
{
    try
    {
        for (;;)
        {
            const auto message = read();
            switch (message[0])
            {
            case 3: {
                const auto time = take<std::uint64_t>(message, 1);
                const std::size_t header = 10, bytes = message.size() - header;
                if (message.size() <= header || bytes % sizeof(Sample) != 0)
                    return {Message::Failed, 0, {}, "crqkd air: samples that do not fit"};
                std::vector<Sample> samples(bytes / sizeof(Sample));
                std::memcpy(static_cast<void *>(samples.data()), &message[header], bytes);
                return {Message::Samples, time, std::move(samples), {}};
            }
            case 6: return {Message::End, 0, {}, {}};
            case 7: return {Message::Failed, 0, {}, std::string(message.begin() + 1, message.end())};
            default: break; // wired messages are not for a radio
            }
        }
    }
    catch (const std::exception &error)
    {
        return {Message::Failed, 0, {}, error.what()};
    }
}

void Connection::transmit(std::uint64_t start, const Sample *samples, std::size_t count)
{
    auto message = begin(2);
    put(message, start);
    const auto at = message.size();
    message.resize(at + count * sizeof(Sample));
    std::memcpy(&message[at], samples, count * sizeof(Sample));
    send(message);
}

void Connection::promise(std::uint64_t transmit, std::uint64_t listen)
{
    auto message = begin(3);
    put(message, transmit);
    put<std::uint64_t>(message, 0); // the wire has a connection of its own
    put(message, listen);
    send(message);
}

void Connection::listen(std::uint64_t from, std::uint64_t to)
{
    auto message = begin(4);
    put(message, from);
    put(message, to);
    send(message);
}

void Connection::leave()
{
    auto message = begin(7);
    send(message);
}

void Connection::close()
{
    ::shutdown(socket_, SHUT_RDWR);
}
