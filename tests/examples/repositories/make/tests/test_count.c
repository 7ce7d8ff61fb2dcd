#undef NDEBUG
#include <assert.h>

#include "count.h"

int main(void)
{
    assert(count_text("").characters == 0);
    assert(count_text("hello").characters == 5);
    assert(count_text("h\xc3\xa9llo").characters == 5);
    return 0;
}
