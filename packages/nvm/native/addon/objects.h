// What the data plane tells, as JavaScript objects.
#ifndef ZIO_NVM_ADDON_OBJECTS_H
#define ZIO_NVM_ADDON_OBJECTS_H

#include <napi.h>

extern "C" {
#include "zio/nvm.h"
}

const char *MediumName(int medium);
Napi::Object RecoveryObject(Napi::Env env, const zio_nvm_recovery &recovery);
Napi::Object StatsObject(Napi::Env env, const struct zio_nvm_stats &stats);

#endif
