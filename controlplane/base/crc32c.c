/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t length)
{
    /* The remainders of four bits; the polynomial 0x1edc6f41, its bits reversed. */
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    const uint8_t *bytes = data;

    crc = ~crc;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_fast(uint32_t crc, const uint8_t *bytes,
                                                              size_t length)
{
    uint64_t state = (uint32_t)~crc, word;

    for (; length >= sizeof(word); bytes += sizeof(word), length -= sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        state = _mm_crc32_u64(state, word);
    }
    while (length--)
        state = _mm_crc32_u8((uint32_t)state, *bytes++);
    return ~(uint32_t)state;
}

static bool crc32c_has_fast(void)
{
    return __builtin_cpu_supports("sse4.2");
}
#elif defined(__ARM_FEATURE_CRC32)
static uint32_t crc32c_fast(uint32_t crc, const uint8_t *bytes, size_t length)
{
    uint32_t state = ~crc;
    uint64_t word;

    for (; length >= sizeof(word); bytes += sizeof(word), length -= sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        state = __crc32cd(state, word);
    }
    while (length--)
        state = __crc32cb(state, *bytes++);
    return ~state;
}

static bool crc32c_has_fast(void)
{
    return true;
}
#else
static uint32_t crc32c_fast(uint32_t crc, const uint8_t *bytes, size_t length)
{
    return crc32c_portable(crc, bytes, length);
}

static bool crc32c_has_fast(void)
{
    return false;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t length)
{
    return crc32c_has_fast() ? crc32c_fast(crc, data, length) : crc32c_portable(crc, data, length);
}
