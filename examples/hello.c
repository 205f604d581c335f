#include <stdio.h>
#include <stdlib.h>

int main(void) {
    const char *whom = getenv("WHOM");
    printf("hello, %s\n", whom ? whom : "nobody");
    return 0;
}
