/* One redirected input, as redirect.c and redirect_many.c take it apart: the wish, the plan, and
 * after the call the publication. */
#ifndef ZIO_REDIRECTION_H
#define ZIO_REDIRECTION_H

#include "redirect.h"
#include "thread_state.h"

enum {
    ZIO__PROGRAM_PIECES_MAX = 16,
    ZIO__REDIRECTED_MAX = 4,
    ZIO__PIECES_MAX = ZIO__PROGRAM_PIECES_MAX + 2 * ZIO__REDIRECTED_MAX
};

struct redirection {
    struct iovec pieces[ZIO__PIECES_MAX];
    int count;
    int slice_count;
    size_t copied; /* bytes published that are no views */
    int slice_piece[ZIO__REDIRECTED_MAX];       /* index into pieces */
    unsigned char *target[ZIO__REDIRECTED_MAX]; /* where the program expects the bytes */
    struct zio__slice slices[ZIO__REDIRECTED_MAX];
};

enum zio__wish { ZIO__LEFT_ALONE, ZIO__REFUSED, ZIO__WANTED };

/* Large input is the policy's to decide; small input goes where the bytes around it went. *site is
 * set unless the input is left alone. */
enum zio__wish zio__wish_for(const struct zio_io_request *request, uintptr_t return_address,
                             uint16_t *site);

/* The kernel is about to write to viewed memory for real: better in bulk than fault by fault. */
void zio__materialise_pieces(const struct zio_io_request *request);

/* Whether views can be made now and the descriptor takes pieces. */
bool zio__may_redirect(int fd, enum zio__descriptor known);

/* False: nothing of it can be redirected, and nothing is held. Otherwise the slices are held until
 * zio__redirection_publish, which must follow. */
bool zio__redirection_plan(struct redirection *plan, const struct zio_io_request *request);

/* Shows what arrived where the program expects it and drops the slices. fd: where to push back what
 * cannot be delivered, or -1. Returns the result of the call: what could be delivered of it. */
ssize_t zio__redirection_publish(struct redirection *plan, int fd, ssize_t received, uint16_t site);

#endif
