/* Blocks of a LevelDB: Snappy's packing, and checksums. They come from files, so nothing in them is
 * trusted: every size is held against what is there. (Snappy's format_description.txt; RFC 3720) */
#include <stdint.h>
#include <string.h>

#include "kernels.h"

enum { LONG = 60 }; /* from here on, a size follows in 1 to 4 bytes */

/* A number of `bytes` bytes, the lowest first. */
static int64_t little_endian(const uint8_t *x, int bytes) {
    int64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= (int64_t)x[i] << 8 * i;
    return value;
}

int64_t unsnap(const void *packed, int64_t n, void *y, int64_t room) {
    const uint8_t *x = packed, *end = x + n;
    uint8_t *out = y;
    int64_t done = 0;
    while (x < end) {
        const int tag = *x++, kind = tag & 3;
        const int more = kind ? (kind == 3 ? 4 : kind) : tag >> 2 >= LONG ? (tag >> 2) - LONG + 1 : 0;
        if (end - x < more) return -1;
        const int64_t number = little_endian(x, more);
        x += more;
        if (kind == 0) { /* bytes as they are */
            const int64_t size = 1 + (more ? number : tag >> 2);
            if (size > end - x || size > room - done) return -1;
            memcpy(out + done, x, (size_t)size);
            x += size;
            done += size;
            continue;
        }
        const int64_t size = kind == 1 ? 4 + (tag >> 2 & 7) : 1 + (tag >> 2);
        const int64_t back = kind == 1 ? number | (int64_t)(tag >> 5) << 8 : number;
        if (back < 1 || back > done || size > room - done) return -1;
        if (back >= size)
            memcpy(out + done, out + done - back, (size_t)size);
        else /* more than there are: they repeat */
            for (int64_t i = 0; i < size; i++) out[done + i] = out[done - back + i];
        done += size;
    }
    return done;
}

static uint32_t tables[8][256]; /* [k][b]: byte b with k zero bytes after it */

__attribute__((constructor)) static void make_tables(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t rest = byte;
        for (int bit = 0; bit < 8; bit++) rest = rest >> 1 ^ (rest & 1 ? 0x82f63b78 : 0);
        tables[0][byte] = rest;
    }
    for (int k = 1; k < 8; k++)
        for (int byte = 0; byte < 256; byte++)
            tables[k][byte] = tables[k - 1][byte] >> 8 ^ tables[0][tables[k - 1][byte] & 255];
}

uint32_t crc32c(const void *bytes, int64_t n) {
    const uint8_t *x = bytes;
    uint32_t rest = 0xffffffff;
    for (; n >= 8; n -= 8, x += 8) {
        uint32_t next = 0;
        for (int i = 0; i < 4; i++) next ^= tables[7 - i][x[i] ^ (rest >> 8 * i & 255)];
        for (int i = 4; i < 8; i++) next ^= tables[7 - i][x[i]];
        rest = next;
    }
    for (; n > 0; n--) rest = rest >> 8 ^ tables[0][(rest ^ *x++) & 255];
    return ~rest;
}
