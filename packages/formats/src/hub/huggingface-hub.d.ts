/** What is used of @huggingface/hub, which is an optional peer: its own types are not there where it is not. */
declare module '@huggingface/hub' {
  interface Access {
    readonly repo: { readonly type: 'dataset' | 'model' | 'space'; readonly name: string }
    readonly revision?: string
    readonly accessToken?: string
    readonly hubUrl?: string
    readonly fetch?: typeof fetch
  }
  /** Null where there is no such file. */
  function downloadFile(file: Access & { readonly path: string }): Promise<Blob | null>
  function listFiles(
    folder: Access & { readonly path?: string; readonly recursive?: boolean },
  ): AsyncIterable<{ readonly type: 'file' | 'directory' | 'unknown'; readonly path: string; readonly size: number }>
}
