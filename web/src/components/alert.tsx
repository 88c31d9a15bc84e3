/** A message that a screen reader announces immediately. */
export function Alert({ text }: { text: string }) {
  return (
    <p class="notice" role="alert">
      {text}
    </p>
  )
}
