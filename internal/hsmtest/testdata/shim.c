/*
 * A PKCS#11 module that forwards to another one, but fails or sleeps where a
 * file beside it says so: the module x.so obeys x.so.faults, one fault a line:
 *
 *     function  mechanism  return value  milliseconds  times
 *
 * "*" stands for all functions, mechanism -1 for all calls; milliseconds are
 * slept first; return value 0 then forwards the call. times -1 means for ever,
 * -2 until the next C_Initialize. Each fault that happens adds a byte to
 * x.so.fired. Writing the file anew starts the counts anew.
 *
 * All arguments of PKCS#11 are integers or pointers, eight at most. So one
 * prototype serves for every function: the calling conventions of Linux on
 * amd64 and arm64 let a function be given more of them than it looks at.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long word;
typedef word (*function)(word, word, word, word, word, word, word, word);

#define FUNCTIONS(X) \
	X(C_Initialize) X(C_Finalize) X(C_GetInfo) X(C_GetFunctionList) X(C_GetSlotList) X(C_GetSlotInfo) \
	X(C_GetTokenInfo) X(C_GetMechanismList) X(C_GetMechanismInfo) X(C_InitToken) X(C_InitPIN) X(C_SetPIN) \
	X(C_OpenSession) X(C_CloseSession) X(C_CloseAllSessions) X(C_GetSessionInfo) X(C_GetOperationState) \
	X(C_SetOperationState) X(C_Login) X(C_Logout) X(C_CreateObject) X(C_CopyObject) X(C_DestroyObject) \
	X(C_GetObjectSize) X(C_GetAttributeValue) X(C_SetAttributeValue) X(C_FindObjectsInit) X(C_FindObjects) \
	X(C_FindObjectsFinal) X(C_EncryptInit) X(C_Encrypt) X(C_EncryptUpdate) X(C_EncryptFinal) X(C_DecryptInit) \
	X(C_Decrypt) X(C_DecryptUpdate) X(C_DecryptFinal) X(C_DigestInit) X(C_Digest) X(C_DigestUpdate) \
	X(C_DigestKey) X(C_DigestFinal) X(C_SignInit) X(C_Sign) X(C_SignUpdate) X(C_SignFinal) \
	X(C_SignRecoverInit) X(C_SignRecover) X(C_VerifyInit) X(C_Verify) X(C_VerifyUpdate) X(C_VerifyFinal) \
	X(C_VerifyRecoverInit) X(C_VerifyRecover) X(C_DigestEncryptUpdate) X(C_DecryptDigestUpdate) \
	X(C_SignEncryptUpdate) X(C_DecryptVerifyUpdate) X(C_GenerateKey) X(C_GenerateKeyPair) X(C_WrapKey) \
	X(C_UnwrapKey) X(C_DeriveKey) X(C_SeedRandom) X(C_GenerateRandom) X(C_GetFunctionStatus) \
	X(C_CancelFunction) X(C_WaitForSlotEvent)

#define INDEX(name) I_##name,
enum { FUNCTIONS(INDEX) COUNT };

struct list {
	unsigned char version[2];
	function entries[COUNT];
};

enum { CKR_GENERAL_ERROR = 0x05, CKR_CRYPTOKI_NOT_INITIALIZED = 0x190, CKR_CRYPTOKI_ALREADY_INITIALIZED = 0x191 };

struct fault {
	char function[64];
	long mechanism;
	word rv;
	long milliseconds, times;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct list *real, ours;
static struct fault faults[32];
static int count;
static struct stat read_last;
static char faults_path[4096], fired_path[4096];
/* The module below may serve others of this process: it is initialised and
 * finalised by whoever came first. */
static int initialised, joined;

static void read_faults(void)
{
	struct stat now;
	FILE *file;

	if (stat(faults_path, &now) != 0)
		memset(&now, 0, sizeof now);
	if (now.st_ino == read_last.st_ino && now.st_size == read_last.st_size && now.st_mtim.tv_sec == read_last.st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == read_last.st_mtim.tv_nsec)
		return;
	read_last = now;
	count = 0;
	if (!(file = fopen(faults_path, "re")))
		return;
	while (count < 32) {
		struct fault *f = &faults[count];
		if (fscanf(file, "%63s %li %li %li %li", f->function, &f->mechanism, (long *)&f->rv, &f->milliseconds, &f->times) != 5)
			break;
		count++;
	}
	fclose(file);
}

static int has_mechanism(int i)
{
	switch (i) {
	case I_C_EncryptInit: case I_C_DecryptInit: case I_C_DigestInit: case I_C_SignInit: case I_C_VerifyInit:
	case I_C_GenerateKey: case I_C_GenerateKeyPair: case I_C_WrapKey: case I_C_UnwrapKey: case I_C_DeriveKey:
		return 1;
	}
	return 0;
}

/* applies finds the fault that a call meets. */
static int applies(int i, const char *name, word second, struct fault *met)
{
	int found = 0, fd;

	pthread_mutex_lock(&mutex);
	read_faults();
	for (struct fault *f = faults; f < faults + count && !found; f++) {
		if (i == I_C_Initialize && f->times == -2)
			f->times = 0;
		if (f->times == 0 || (strcmp(f->function, name) != 0 && strcmp(f->function, "*") != 0))
			continue;
		if (f->mechanism >= 0 && !(has_mechanism(i) && *(word *)second == (word)f->mechanism))
			continue;
		if (f->times > 0)
			f->times--;
		*met = *f;
		found = 1;
		if ((fd = open(fired_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) >= 0) {
			if (write(fd, ".", 1) != 1)
				found = 1;
			close(fd);
		}
	}
	pthread_mutex_unlock(&mutex);
	return found;
}

static word initialise(word args)
{
	word rv;

	if (initialised)
		return CKR_CRYPTOKI_ALREADY_INITIALIZED;
	rv = real->entries[I_C_Initialize](args, 0, 0, 0, 0, 0, 0, 0);
	joined = rv == CKR_CRYPTOKI_ALREADY_INITIALIZED;
	initialised = rv == 0 || joined;
	return initialised ? 0 : rv;
}

static word finalise(word reserved)
{
	if (!initialised)
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	initialised = 0;
	return joined ? 0 : real->entries[I_C_Finalize](reserved, 0, 0, 0, 0, 0, 0, 0);
}

static word forward(int i, const char *name, word a, word b, word c, word d, word e, word f, word g, word h)
{
	struct fault met;

	if (applies(i, name, b, &met)) {
		struct timespec pause = { met.milliseconds / 1000, met.milliseconds % 1000 * 1000000 };
		while (nanosleep(&pause, &pause) != 0)
			;
		if (met.rv != 0)
			return met.rv;
	}
	if (i == I_C_Initialize)
		return initialise(a);
	if (i == I_C_Finalize)
		return finalise(a);
	if (!initialised)
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	return real->entries[i](a, b, c, d, e, f, g, h);
}

#define WRAPPER(name) \
	static word our_##name(word a, word b, word c, word d, word e, word f, word g, word h) \
	{ \
		return forward(I_##name, #name, a, b, c, d, e, f, g, h); \
	}
FUNCTIONS(WRAPPER)

word C_GetFunctionList(struct list **out);

#define ENTRY(name) ours.entries[I_##name] = our_##name;

word C_GetFunctionList(struct list **out)
{
	word rv = CKR_GENERAL_ERROR;

	pthread_mutex_lock(&mutex);
	if (!real) {
		Dl_info self;
		void *module = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL);
		word (*get)(struct list **) = module ? (word (*)(struct list **))dlsym(module, "C_GetFunctionList") : 0;

		if (get && get(&real) == 0 && dladdr((void *)C_GetFunctionList, &self) != 0) {
			snprintf(faults_path, sizeof faults_path, "%s.faults", self.dli_fname);
			snprintf(fired_path, sizeof fired_path, "%s.fired", self.dli_fname);
			memcpy(ours.version, real->version, sizeof ours.version);
			FUNCTIONS(ENTRY)
			ours.entries[I_C_GetFunctionList] = (function)C_GetFunctionList;
		} else {
			real = 0;
		}
	}
	if (real) {
		*out = &ours;
		rv = 0;
	}
	pthread_mutex_unlock(&mutex);
	return rv;
}
