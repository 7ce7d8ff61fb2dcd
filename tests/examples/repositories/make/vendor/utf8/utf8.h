#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>

/* The number of code points in valid UTF-8 text. */
size_t utf8_length(const char *text);

#endif
