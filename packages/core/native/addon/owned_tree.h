/* A view tree together with its slab, behind a pointer: what the C++ of the addon sees of core,
 * whose headers use C's atomic types. For one thread. */
#ifndef ZIO_ADDON_OWNED_TREE_H
#define ZIO_ADDON_OWNED_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct owned_tree;

enum { OWNED_TREE_ROW = 5 }; /* words of a view: start, length, handle, offset, tag */

struct owned_tree *owned_tree_new(void); /* NULL: out of memory */
void owned_tree_free(struct owned_tree *owned);
/* Bytes mapped for the tree. */
size_t owned_tree_bytes(const struct owned_tree *owned);
size_t owned_tree_count(const struct owned_tree *owned);
/* As in view_tree.h. */
int owned_tree_insert(struct owned_tree *owned, const uint64_t row[OWNED_TREE_ROW]);
int owned_tree_carve(struct owned_tree *owned, uint64_t start, uint64_t length);
bool owned_tree_next(const struct owned_tree *owned, uint64_t address,
                     uint64_t row[OWNED_TREE_ROW]);
size_t owned_tree_translate(const struct owned_tree *owned, uint64_t start, uint64_t length,
                            uint64_t *rows, size_t max, uint64_t *covered);
int owned_tree_check(const struct owned_tree *owned);

#endif
