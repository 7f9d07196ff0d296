// A radio on the virtual air as a SoapySDR device: 20 Msample/s, one channel each way, time stamps, timed bursts.
//
// The air has no clock: device time is air time, 50 ns a sample, and goes on as the program reads (or, when only the
// transmit stream is active, by itself). The program may hand over a burst as long as it starts `lookahead` samples
// or more after what was read last; one that comes later is dropped and reported as SOAPY_SDR_TIME_ERROR, as by
// hardware. The lock step sees to it that nobody else passes that time before.
#include "Connection.hpp"

#include <SoapySDR/Device.hpp>
#include <SoapySDR/Errors.h>
#include <SoapySDR/Formats.hpp>
#include <SoapySDR/Logger.hpp>
#include <SoapySDR/Registry.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <stdexcept>
#include <thread>

namespace {

constexpr double RATE = 20e6;
constexpr long long NS_PER_SAMPLE = 50;
// Where the converter of the air clips; Soapy's full scale is 1.
constexpr float FULL_SCALE = 8.0F;
// What leaves the antenna for a sample of 1: a burst of mean power 1/4 is one of unit power on the air.
constexpr float TX_GAIN = 2.0F;
// Received samples that wait for the program.
constexpr std::size_t QUEUE = 1 << 20;
constexpr std::size_t MTU = 4096;
constexpr std::uint64_t DEFAULT_LOOKAHEAD = 1000;

struct Event
{
    int code;
    int flags;
    long long timeNs;
};

class AirDevice : public SoapySDR::Device
{
public:
    explicit AirDevice(const SoapySDR::Kwargs &args)
        : connection_(get(args, "addr", "127.0.0.1:7700"),
                      static_cast<std::uint16_t>(number(args, "radio", 201))),
          lookahead_(number(args, "lookahead", DEFAULT_LOOKAHEAD))
    {
        if (lookahead_ == 0) throw std::runtime_error("crqkd air: lookahead is 0, nothing could be sent in time");
        reader_ = std::thread([this] { read(); });
    }

    ~AirDevice() override
    {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        try
        {
            connection_.leave();
        }
        catch (const std::exception &)
        {
            // the server is gone, which is as good
        }
        connection_.close();
        reader_.join();
    }

    std::string getDriverKey() const override { return "crqkd"; }
    std::string getHardwareKey() const override { return "virtual air"; }
    size_t getNumChannels(const int direction) const override
    {
        return direction == SOAPY_SDR_TX && connection_.receiver() ? 0 : 1;
    }
    bool getFullDuplex(const int, const size_t) const override { return true; }

    // Streams

    std::vector<std::string> getStreamFormats(const int, const size_t) const override { return {SOAPY_SDR_CF32}; }
    std::string getNativeStreamFormat(const int, const size_t, double &fullScale) const override
    {
        fullScale = 1.0;
        return SOAPY_SDR_CF32;
    }

    SoapySDR::Stream *setupStream(const int direction, const std::string &format, const std::vector<size_t> &channels,
                                  const SoapySDR::Kwargs &) override
    {
        if (format != SOAPY_SDR_CF32) throw std::runtime_error("crqkd air: the format is CF32, not " + format);
        if (channels.size() > 1 || (channels.size() == 1 && channels[0] != 0))
            throw std::runtime_error("crqkd air: there is channel 0 only");
        if (getNumChannels(direction) == 0) throw std::runtime_error("crqkd air: this radio only receives");
        return direction == SOAPY_SDR_RX ? rxStream() : txStream();
    }

    void closeStream(SoapySDR::Stream *stream) override { deactivateStream(stream, 0, 0); }
    size_t getStreamMTU(SoapySDR::Stream *stream) const override { return stream == rxStream() ? MTU : MAX_SAMPLES; }

    int activateStream(SoapySDR::Stream *stream, const int flags, const long long, const size_t) override
    {
        if (flags != 0) return SOAPY_SDR_NOT_SUPPORTED;
        const std::lock_guard<std::mutex> lock(mutex_);
        (stream == rxStream() ? rxActive_ : txActive_) = true;
        if (!begun_)
        {
            // The air stands still until now.
            begun_ = true;
            connection_.listen(0, NEVER);
            tellTime();
        }
        changed_.notify_all();
        return 0;
    }

    int deactivateStream(SoapySDR::Stream *stream, const int flags, const long long) override
    {
        if (flags != 0) return SOAPY_SDR_NOT_SUPPORTED;
        const std::lock_guard<std::mutex> lock(mutex_);
        if (stream == rxStream())
        {
            rxActive_ = false;
            skip(queue_.size());
        }
        else
        {
            txActive_ = false;
            burst_.clear();
            tellTime();
        }
        changed_.notify_all();
        return 0;
    }

    int readStream(SoapySDR::Stream *, void *const *buffs, const size_t numElems, int &flags, long long &timeNs,
                   const long timeoutUs) override
    {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait_for(lock, std::chrono::microseconds(timeoutUs), [this] { return !queue_.empty() || ended_; });
        if (queue_.empty()) return ended_ ? SOAPY_SDR_STREAM_ERROR : SOAPY_SDR_TIMEOUT;
        const auto count = std::min({numElems, queue_.size(), MTU});
        auto *out = static_cast<Sample *>(buffs[0]);
        for (std::size_t i = 0; i < count; i++) out[i] = queue_[i] / FULL_SCALE;
        flags = SOAPY_SDR_HAS_TIME;
        timeNs = toNs(position_);
        skip(count);
        changed_.notify_all();
        return static_cast<int>(count);
    }

    int writeStream(SoapySDR::Stream *, const void *const *buffs, const size_t numElems, int &flags,
                    const long long timeNs, const long) override
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (ended_) return SOAPY_SDR_STREAM_ERROR;
        if (burst_.empty() && !late_)
        {
            burstStart_ = (flags & SOAPY_SDR_HAS_TIME) != 0 ? toSamples(timeNs) : std::max(burstEnd_, promised_);
            late_ = burstStart_ < promised_;
            if (late_) events_.push_back({SOAPY_SDR_TIME_ERROR, SOAPY_SDR_HAS_TIME, timeNs});
        }
        const auto *in = static_cast<const Sample *>(buffs[0]);
        // A late burst is swallowed to its end.
        if (!late_)
            for (std::size_t i = 0; i < numElems; i++)
            {
                burst_.push_back(in[i] * TX_GAIN);
                if (burst_.size() == MAX_SAMPLES) sendBurst();
            }
        if ((flags & SOAPY_SDR_END_BURST) != 0)
        {
            if (!burst_.empty()) sendBurst();
            late_ = false;
        }
        tellTime();
        changed_.notify_all();
        return static_cast<int>(numElems);
    }

    int readStreamStatus(SoapySDR::Stream *stream, size_t &chanMask, int &flags, long long &timeNs,
                         const long timeoutUs) override
    {
        if (stream == rxStream()) return SOAPY_SDR_NOT_SUPPORTED;
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait_for(lock, std::chrono::microseconds(timeoutUs), [this] { return !events_.empty() || ended_; });
        if (events_.empty()) return SOAPY_SDR_TIMEOUT;
        const auto event = events_.front();
        events_.pop_front();
        chanMask = 1;
        flags = event.flags;
        timeNs = event.timeNs;
        return event.code;
    }

    // Settings: there is one sample rate; the rest is kept for programs that read it back.

    std::vector<std::string> listAntennas(const int, const size_t) const override { return {"AIR"}; }
    std::string getAntenna(const int, const size_t) const override { return "AIR"; }
    std::vector<std::string> listGains(const int, const size_t) const override { return {"AIR"}; }
    SoapySDR::Range getGainRange(const int, const size_t, const std::string &) const override { return {0.0, 0.0}; }
    double getGain(const int, const size_t, const std::string &) const override { return 0.0; }
    std::vector<std::string> listFrequencies(const int, const size_t) const override { return {"RF"}; }
    SoapySDR::RangeList getFrequencyRange(const int, const size_t, const std::string &) const override
    {
        return {{1e8, 1e11}};
    }
    void setFrequency(const int direction, const size_t, const std::string &, const double frequency,
                      const SoapySDR::Kwargs &) override
    {
        frequency_[direction == SOAPY_SDR_RX] = frequency;
    }
    double getFrequency(const int direction, const size_t, const std::string &) const override
    {
        return frequency_[direction == SOAPY_SDR_RX];
    }
    void setSampleRate(const int, const size_t, const double rate) override
    {
        if (rate != RATE) throw std::runtime_error("crqkd air: the sample rate is 20e6, not " + std::to_string(rate));
    }
    double getSampleRate(const int, const size_t) const override { return RATE; }
    SoapySDR::RangeList getSampleRateRange(const int, const size_t) const override { return {{RATE, RATE}}; }

    // Time: what was read last.

    bool hasHardwareTime(const std::string &what) const override { return what.empty(); }
    long long getHardwareTime(const std::string &) const override
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        return toNs(position_);
    }

private:
    static std::string get(const SoapySDR::Kwargs &args, const char *key, const char *otherwise)
    {
        const auto found = args.find(key);
        return found == args.end() ? otherwise : found->second;
    }

    static std::uint64_t number(const SoapySDR::Kwargs &args, const char *key, std::uint64_t otherwise)
    {
        const auto found = args.find(key);
        if (found == args.end()) return otherwise;
        std::size_t end = 0;
        const auto value = std::stoull(found->second, &end);
        if (end != found->second.size())
            throw std::runtime_error(std::string("crqkd air: ") + key + " is not a number: " + found->second);
        return value;
    }

    static long long toNs(std::uint64_t samples) { return static_cast<long long>(samples) * NS_PER_SAMPLE; }
    static std::uint64_t toSamples(long long ns)
    {
        return ns <= 0 ? 0 : static_cast<std::uint64_t>((ns + NS_PER_SAMPLE / 2) / NS_PER_SAMPLE);
    }
    SoapySDR::Stream *rxStream() const { return reinterpret_cast<SoapySDR::Stream *>(const_cast<bool *>(&rxActive_)); }
    SoapySDR::Stream *txStream() const { return reinterpret_cast<SoapySDR::Stream *>(const_cast<bool *>(&txActive_)); }

    // The reader thread: from the connection into the queue.
    void read()
    {
        for (;;)
        {
            auto message = connection_.receive();
            std::unique_lock<std::mutex> lock(mutex_);
            if (stopping_) return;
            if (message.kind != Message::Samples)
            {
                if (message.kind == Message::Failed) SoapySDR::log(SOAPY_SDR_ERROR, message.reason);
                ended_ = true;
                changed_.notify_all();
                return;
            }
            if (queue_.empty()) position_ = message.time;
            queue_.insert(queue_.end(), message.samples.begin(), message.samples.end());
            changed_.notify_all();
            // Nothing overflows: a program that does not read holds the air.
            changed_.wait(lock, [this] { return stopping_ || !rxActive_ || queue_.size() < QUEUE; });
            if (!rxActive_) skip(queue_.size());
        }
    }

    // The program has read, or does not want, so many samples.
    void skip(std::size_t count)
    {
        queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count));
        position_ += count;
        if (count > 0) tellTime();
    }

    // Promises what holds now; an open burst may not be passed. Nothing before the air was listened to: bursts may be
    // written before a stream is active.
    void tellTime()
    {
        if (!begun_) return;
        auto promise = position_ + lookahead_;
        if (!burst_.empty()) promise = std::min(promise, burstStart_);
        if (promise <= promised_ || ended_ || stopping_) return;
        promised_ = promise;
        try
        {
            // The open stretch of listening is never ended, only thrown away.
            connection_.promise(promised_, NEVER);
        }
        catch (const std::exception &error)
        {
            ended_ = true;
            SoapySDR::log(SOAPY_SDR_ERROR, error.what());
        }
    }

    void sendBurst()
    {
        try
        {
            connection_.transmit(burstStart_, burst_.data(), burst_.size());
        }
        catch (const std::exception &error)
        {
            ended_ = true;
            SoapySDR::log(SOAPY_SDR_ERROR, error.what());
        }
        burstStart_ = burstEnd_ = burstStart_ + burst_.size();
        burst_.clear();
    }

    Connection connection_;
    const std::uint64_t lookahead_;
    double frequency_[2] = {2.605e9, 2.605e9};

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool begun_ = false, ended_ = false, stopping_ = false;
    bool rxActive_ = false, txActive_ = false;
    // Received and not read; position_ is the air time of its first sample.
    std::deque<Sample> queue_;
    std::uint64_t position_ = 0;
    std::uint64_t promised_ = 0;
    // The burst that is being written.
    std::vector<Sample> burst_;
    std::uint64_t burstStart_ = 0, burstEnd_ = 0;
    bool late_ = false;
    std::deque<Event> events_;
    std::thread reader_;
};

// A device is offered to those who name the driver or an address only: nobody's network is searched.
SoapySDR::KwargsList findAir(const SoapySDR::Kwargs &args)
{
    const auto driver = args.find("driver");
    if (driver == args.end() || driver->second != "crqkd") return {};
    auto found = args;
    found["label"] = "crqkd virtual air";
    return {found};
}

SoapySDR::Device *makeAir(const SoapySDR::Kwargs &args)
{
    return new AirDevice(args);
}

const SoapySDR::Registry registration("crqkd", &findAir, &makeAir, SOAPY_SDR_ABI_VERSION);

} // namespace
