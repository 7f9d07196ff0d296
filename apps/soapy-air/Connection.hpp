// The air protocol (docs/air-protocol.md) as a client: version 1, part "samples only".
#pragma once

#include <complex>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

using Sample = std::complex<float>;

constexpr std::uint64_t NEVER = UINT64_MAX;
constexpr std::size_t MAX_SAMPLES = 1 << 16;

// What the server says.
struct Message
{
    enum Kind { Samples, End, Failed } kind;
    std::uint64_t time;
    std::vector<Sample> samples;
    std::string reason;
};

// A radio's connection. Sending is safe from any thread, receiving from one.
class Connection
{
public:
    // Takes the place of a radio; throws std::runtime_error with the server's reason.
    Connection(const std::string &address, std::uint16_t radio);
    ~Connection();
    Connection(const Connection &) = delete;
    Connection &operator=(const Connection &) = delete;

    // True for a radio that cannot transmit.
    bool receiver() const { return receiver_; }

    // Waits for the next message that concerns samples; a lost connection is a failure.
    Message receive();

    void transmit(std::uint64_t start, const Sample *samples, std::size_t count);
    void promise(std::uint64_t transmit, std::uint64_t listen);
    void listen(std::uint64_t from, std::uint64_t to);
    void leave();

    // Ends a receive() that waits.
    void close();

private:
    void send(std::vector<std::uint8_t> &message);
    std::vector<std::uint8_t> read();

    int socket_;
    bool receiver_ = false;
    std::mutex mutex_;
};
