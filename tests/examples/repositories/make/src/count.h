#ifndef COUNT_H
#define COUNT_H

#include <stddef.h>

/* What a text consists of. */
struct count {
    size_t characters;
};

struct count count_text(const char *text);

#endif
