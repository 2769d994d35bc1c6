/* The texts of the error codes. */
#include <zio/error.h>

const char *zio_error_message(int code) {
    switch (code) {
    case 0:
        return "success";
#define ZIO_ERROR_CASE(name, text)                                                                 \
    case ZIO_##name:                                                                               \
        return text;
        ZIO_ERRORS(ZIO_ERROR_CASE)
#undef ZIO_ERROR_CASE
    default:
        return "unknown error";
    }
}
