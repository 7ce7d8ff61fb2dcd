#include "utf8.h"

size_t utf8_length(const char *text)
{
    size_t length = 0;
    for (; *text; text++)
        length += (*text & 0xC0) != 0x80;
    return length;
}
