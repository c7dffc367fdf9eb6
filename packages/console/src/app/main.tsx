import { QueryClientProvider } from "@tanstack/react-query"
import { RouterProvider } from "@tanstack/react-router"
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { router } from "./Router.tsx"
import { queryClient } from "./session/Session.ts"
import "./style.css"

const place = document.querySelector("#console")
if (place === null) throw new Error("the page has no place for the console")
createRoot(place).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>
)
