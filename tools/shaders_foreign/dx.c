// Compiles HLSL by Microsoft's own compilers: dx.exe dxc|fxc LIBRARY < list
//
// A line of the list is `file entry profile`. A line of the answer is `ok file` or `failed file message`, in one line. The
// arguments are those of wgpu-hal's src/dx12/shader_compilation.rs.
#include <d3dcompiler.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

// What the header of DXC, which no package here has, says of IDxcCompiler3 and IDxcResult: methods up to those called.
typedef struct { const void *text; SIZE_T size; UINT encoding; } Source;
typedef struct Result Result;
typedef struct Compiler Compiler;
struct Result {
    struct {
        void *unknown[3];
        HRESULT(WINAPI *status)(Result *, HRESULT *);
        HRESULT(WINAPI *result)(Result *, ID3DBlob **);
        HRESULT(WINAPI *errors)(Result *, ID3DBlob **);
    } *methods;
};
struct Compiler {
    struct {
        void *unknown[3];
        HRESULT(WINAPI *compile)(Compiler *, const Source *, LPCWSTR *, UINT32, void *, const GUID *, void **);
    } *methods;
};
static const GUID COMPILER = {0x73e22d93, 0xe6ce, 0x47f3, {0xb5, 0xbf, 0xf0, 0x66, 0x4f, 0x39, 0xc1, 0xb0}};
static const GUID COMPILER3 = {0x228b4687, 0x5a6a, 0x4730, {0x90, 0x0c, 0x97, 0x02, 0xb2, 0x20, 0x3f, 0x54}};
static const GUID RESULT = {0x58346cda, 0xdde7, 0x4497, {0x94, 0x61, 0x6f, 0x87, 0xaf, 0x5e, 0x06, 0x59}};
typedef HRESULT(WINAPI *Create)(const GUID *, const GUID *, void **);
enum { UTF8 = 65001 };

static char text[4 << 20];

static HRESULT by_fxc(pD3DCompile compile, SIZE_T size, const char *entry, const char *profile, ID3DBlob **errors) {
    ID3DBlob *code = NULL;
    return compile(text, size, NULL, NULL, NULL, entry, profile, D3DCOMPILE_ENABLE_STRICTNESS, 0, &code, errors);
}

static HRESULT by_dxc(Compiler *compiler, SIZE_T size, const char *entry, const char *profile, ID3DBlob **errors) {
    WCHAR wide_entry[128], wide_profile[32];
    MultiByteToWideChar(UTF8, 0, entry, -1, wide_entry, 128);
    MultiByteToWideChar(UTF8, 0, profile, -1, wide_profile, 32);
    // Devices with half precision get the last one.
    LPCWSTR arguments[] = {L"-E", wide_entry, L"-T", wide_profile, L"-HV", L"2018", L"-no-warnings", L"-Ges",
                           L"-enable-16bit-types"};
    UINT32 count = strcmp(profile, "cs_6_2") < 0 ? 8 : 9;
    Source source = {text, size, UTF8};
    Result *result = NULL;
    HRESULT status = compiler->methods->compile(compiler, &source, arguments, count, NULL, &RESULT, (void **)&result);
    if (status == S_OK) {
        result->methods->status(result, &status);
        result->methods->errors(result, errors);
        // wgpu refuses what comes with any text.
        SIZE_T length = *errors ? (*errors)->lpVtbl->GetBufferSize(*errors) : 0;
        if (length > 1) status = E_FAIL;
    }
    return status;
}

int main(int count, char **arguments) {
    if (count != 3) return 2;
    BOOL fxc = strcmp(arguments[1], "fxc") == 0;
    HMODULE library = LoadLibraryA(arguments[2]);
    char loaded[MAX_PATH] = "", line[1024], file[512], entry[128], profile[32];
    if (library) GetModuleFileNameA(library, loaded, sizeof loaded);
    // Wine has a library of its own by the name of FXC's.
    printf("loaded %s\n", loaded);
    if (!library) return 1;
    pD3DCompile compile = (pD3DCompile)(void *)GetProcAddress(library, "D3DCompile");
    Create create = (Create)(void *)GetProcAddress(library, "DxcCreateInstance");
    Compiler *compiler = NULL;
    if (fxc ? !compile : !create || create(&COMPILER, &COMPILER3, (void **)&compiler) != S_OK) return 1;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "%511s %127s %31s", file, entry, profile) != 3) return 1;
        FILE *opened = fopen(file, "rb");
        SIZE_T size = opened ? fread(text, 1, sizeof text, opened) : 0;
        if (opened) fclose(opened);
        ID3DBlob *errors = NULL;
        HRESULT status = fxc ? by_fxc(compile, size, entry, profile, &errors) : by_dxc(compiler, size, entry, profile, &errors);
        if (size == 0 || size == sizeof text) status = E_FAIL;
        printf("%s %s ", status == S_OK ? "ok" : "failed", file);
        if (status != S_OK && errors) {
            const char *message = errors->lpVtbl->GetBufferPointer(errors);
            SIZE_T length = errors->lpVtbl->GetBufferSize(errors);
            for (SIZE_T i = 0; i < length && i < 600 && message[i]; i++) putchar(message[i] < ' ' ? ' ' : message[i]);
        }
        if (errors) errors->lpVtbl->Release(errors);
        putchar('\n');
        fflush(stdout);
    }
    return 0;
}
