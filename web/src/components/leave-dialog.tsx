import { useEffect, useRef } from 'preact/hooks'

interface Props {
  /** The request was sent; the athlete can no longer cancel. */
  sent: boolean
  onLeave: () => void
  onStay: () => void
}

/** Asks the athlete to confirm leaving. */
export function LeaveDialog({ sent, onLeave, onStay }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])

  const cancel = (event: Event) => {
    event.preventDefault()
    if (!sent) onStay()
  }

  return (
    <dialog ref={dialog} aria-labelledby="leave" onCancel={cancel}>
      <h2 id="leave">Leave Paceline?</h2>
      <p>
        Your permission at Strava ends. Paceline erases your profile, activities and totals. Your data at Strava does not
        change. You get a receipt that confirms the erasure.
      </p>
      <div class="buttons">
        <button type="button" class="button" disabled={sent} onClick={onStay}>
          Stay
        </button>
        <button type="button" class="button danger" disabled={sent} onClick={onLeave}>
          {sent ? 'Leaving…' : 'Leave and erase my data'}
        </button>
      </div>
    </dialog>
  )
}
