#include <stdio.h>

#include "count.h"

int main(void)
{
    char text[1 << 16];
    size_t size = fread(text, 1, sizeof text - 1, stdin);
    text[size] = '\0';
    struct count found = count_text(text);
    printf("%zu characters\n", found.characters);
    return 0;
}
