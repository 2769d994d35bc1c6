/* flags: -O1 -g -fno-builtin -fsanitize=undefined -fno-sanitize-recover=all */
#include "sanitised.h"
