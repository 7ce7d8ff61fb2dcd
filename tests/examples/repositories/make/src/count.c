#include "count.h"
#include "utf8.h"

struct count count_text(const char *text)
{
    struct count found = {utf8_length(text)};
    return found;
}
