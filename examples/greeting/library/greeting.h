#ifndef GREETING_H
#define GREETING_H

#include <stddef.h>

/* Writes a greeting for `name` to `buffer`, which has room for `size` bytes with the NUL at the end.
   Returns 0, or -1 if it does not fit. */
int greeting(char *buffer, size_t size, const char *name);

#endif
