let receive: ((message: string) => void) | undefined

/** Where notices to the programmer go: things that work, but not as well as they could. */
export function setNotice(receiver: ((message: string) => void) | undefined): void {
  receive = receiver
}

export function notice(message: string): void {
  receive?.(message)
}
