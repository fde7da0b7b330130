/* The smallest program that is worth timing. */
#include <stdio.h>

int main(void)
{
    puts("Hello from Windows");
    return 0;
}
