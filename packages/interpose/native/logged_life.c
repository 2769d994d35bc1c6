/* When files are followed: from the start of the program, across fork, to its end. */
#include "logged_files.h"
#include "logged_table.h"

#include <zio/signals.h>

#include "file_patterns.h"
#include "instance.h"
#include "nvm_origins.h"
#include "nvm_pool.h"
#include "thread_state.h"

static uint64_t fork_signals; /* with the provider's opening lock held */

void zio__files_before_fork(void) {
    uint64_t signals = zio_signals_block();
    zio__nvm_before_fork();
    zio__nvm_origins_before_fork();
    fork_signals = signals;
}

void zio__files_after_fork(bool child) {
    if (child) {
        zio__visits_begin_anew();
        zio__table_after_fork();
    }
    uint64_t signals = fork_signals;
    zio__nvm_origins_after_fork(child);
    if (child)
        zio__thread_stop_filling();
    zio__nvm_after_fork(child);
    zio_signals_restore(signals);
}

/* What memory of the program shows of the pool becomes memory of its own. Where another thread is
 * still about to receive into the pool it cannot be closed: the files get what is logged so far, and
 * the process ends as if it were killed then. */
static void end_pool(void) {
    if (!zio__nvm_pool())
        return;
    zio__nvm_origins_stop();
    zio__thread_gives_up();
    if (zio__nvm_origins_in_use() > 0)
        zio__end_views();
    if (zio__nvm_origins_in_use() > 0) {
        zio__files_settle();
        zio__stats_pool();
        return;
    }
    zio__table_clear();
    zio__nvm_origins_end();
    zio__stats_pool();
    if (zio__nvm_close())
        zio__stats_pool_applied();
}

/* Threads that are in a call of the provider for long (a sync) are waited for, within bounds: what
 * they leave is for recovery then. */
void zio__files_end(bool leaves) {
    struct zio__visit visit;
    if (!atomic_load(&zio__follows_files) || !zio__visit_begin(&visit))
        return;
    if (leaves)
        zio__logged_leave_all();
    if (zio__visits_stop() && !leaves)
        end_pool();
    if (leaves)
        atomic_store(&zio__follows_files, false);
    zio__visits_go_on();
    zio__visit_end(&visit);
}

/* What the program was started with for its standard streams is used by stdio, unseen. */
static void leave_streams(void) {
    for (int fd = 0; fd <= ZIO__LAST_STREAM; fd++)
        zio__descriptor_leave(fd, false);
}

void zio__files_set_up(void) {
    if (!zio__settings.nvm || !zio__settings.nvm_files)
        return;
    if (!zio__table_set_up() || !zio__visits_set_up()) {
        zio__log("files are not logged: ", "out of memory");
        return;
    }
    zio__patterns_set_up(zio__settings.nvm_files);
    zio__nvm_set_up();
    atomic_store(&zio__follows_files, true);
    leave_streams();
}
