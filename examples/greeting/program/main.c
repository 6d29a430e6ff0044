#include <greeting.h>
#include <stdio.h>

int main(int count, char **arguments)
{
    char text[64];
    const char *name = count > 1 ? arguments[1] : "world";
    if (greeting(text, sizeof text, name) != 0) {
        fprintf(stderr, "%s: the name is too long\n", arguments[0]);
        return 1;
    }
    return puts(text) == EOF;
}
