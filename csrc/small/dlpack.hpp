// What of DLPack's C exchange API is used here, as dlpack.h 1.2 lays it out.
#pragma once

#include <cstdint>

namespace posenc::small::dlpack {

struct Tensor {
    void* data;
    std::int32_t device_type, device_id;
    std::int32_t axes;
    std::uint8_t code, bits;
    std::uint16_t lanes;
    const std::int64_t* shape;
    const std::int64_t* stride;  // in elements
    std::uint64_t byte_offset;
};

constexpr std::int32_t kCpu = 1;
enum Code : std::uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBrain = 4, kBool = 6 };

struct ExchangeApi {
    std::uint32_t major, minor;
    ExchangeApi* previous;
    void* allocate;
    void* to_managed;
    void* from_managed;
    int (*borrow)(void* object, Tensor* out);  // may be null; what it tells lives as long as the object
    void* stream;
};

}  // namespace posenc::small::dlpack
