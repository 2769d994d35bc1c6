/* flags: -O1 -g -fno-builtin -fsanitize=address -static-libasan */
#include "sanitised.h"
